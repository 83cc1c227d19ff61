"""The variables of templates, which are the columns of recipient lists: one vocabulary for both."""

import re

VARIABLES = ("EAddr", "UserName", "NickName", "Gender", "Birthday", "Mobile")  # in the order of list files
ADDRESS = VARIABLES[0]

# Characters; as DirectMail has it (SaveReceiverDetail).
LENGTHS = {"UserName": 75, "NickName": 25, "Gender": 25, "Birthday": 25, "Mobile": 25}

# What list files call them besides their own names: compared without case, spaces, "-" and "_".
SYNONYMS = {
    "EAddr": (
        *("email", "emailaddr", "emailaddress", "mail", "mailaddress", "用户邮箱地址", "用户邮箱", "邮箱", "邮箱地址"),
        *("电子邮箱", "电子邮件", "电子邮件地址", "邮件地址", "收件人地址"),
    ),
    "UserName": ("name", "fullname", "用户姓名", "姓名", "真实姓名", "用户名"),
    "NickName": ("nick", "用户昵称", "昵称"),
    "Gender": ("salutation", "用户称呼", "称呼", "性别"),
    "Birthday": ("birth", "dateofbirth", "用户生日", "生日", "出生日期"),
    "Mobile": ("phone", "mobilephone", "telephone", "用户电话", "电话", "手机", "手机号", "手机号码"),
}

_BRACED = re.compile(r"\{\s*(\w+)\s*\}")
_SPACING = re.compile(r"[\s_-]+")
_NAMES = {spelling.casefold(): name for name in VARIABLES for spelling in (name, *SYNONYMS[name])}


def variable_named(heading: str) -> str | None:
    """Return the variable a column's heading means: `{Birth}`, `birthday`, `用户生日{Birth}`; None for others."""
    braced = _BRACED.search(heading)
    return _NAMES.get(_SPACING.sub("", braced[1] if braced else heading).casefold())
