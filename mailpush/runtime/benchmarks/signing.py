"""How many RSA-2048 signatures a second so many processes make: the limit that no sender with DKIM can pass.

`limit` starts this module once a process and lets all begin together.
"""

import subprocess
import sys
import time

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from mailpush.mail.dkim import generate_key

SECONDS = 2.0
SIGNED = b"x" * 600  # as much as the headers that DKIM signs


def limit(processes: int) -> float:
    """Return signatures per second of all processes together, each with a key of its own."""
    signers = [
        subprocess.Popen(  # noqa: S603 ourselves
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(processes)
    ]
    for signer in signers:
        assert signer.stdout
        signer.stdout.readline()  # its key is made
    for signer in signers:
        assert signer.stdin
        signer.stdin.write(b"\n")
        signer.stdin.flush()
    return sum(float(signer.communicate()[0]) for signer in signers)


def main() -> None:
    key = generate_key()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    scheme, algorithm = padding.PKCS1v15(), hashes.SHA256()
    signed, begun = 0, time.perf_counter()
    while (spent := time.perf_counter() - begun) < SECONDS:
        key.sign(SIGNED, scheme, algorithm)
        signed += 1
    sys.stdout.write(f"{signed / spent}\n")


if __name__ == "__main__":
    main()
