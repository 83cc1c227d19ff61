from datetime import UTC, datetime, timedelta

import pytest
from django import forms
from django.core.paginator import Paginator
from django.template import engines
from django.test import RequestFactory
from django.utils import timezone, translation

from mailpush.lib import ui


def render(source, path="/", **context):
    request = RequestFactory(headers={"host": "localhost"}).get(path)
    return engines["django"].from_string(source).render(context, request).strip()


@pytest.fixture
def icons(tmp_path, monkeypatch):
    """A package with one icon."""
    (tmp_path / "dot.svg").write_text(f'<svg\n  width="24"\n>\n  {ui.INVISIBLE}\n  <path d="M1 1" />\n</svg>\n')
    monkeypatch.setattr(ui, "ICONS", tmp_path)
    ui.icon_shapes.cache_clear()
    yield
    ui.icon_shapes.cache_clear()


class SampleForm(forms.Form):
    name = forms.CharField(help_text="Shown to recipients.")
    note = forms.CharField(widget=forms.Textarea(attrs={"class": "font-monospace"}), required=False)
    kind = forms.ChoiceField(choices=[("a", "First"), ("b", "Second")])
    way = forms.ChoiceField(choices=[("x", "Upload"), ("y", "Paste")], widget=forms.RadioSelect)
    track = forms.BooleanField(required=False)
    token = forms.CharField(widget=forms.HiddenInput)


class FilterForm(forms.Form):
    q = forms.CharField(required=False)


class ReportForm(forms.Form):
    days = forms.ChoiceField(choices=[("7", "Last 7 days")])
    tag = forms.ChoiceField(choices=[("", "All tags")], required=False)


def test_icon_is_drawn_in_the_page_and_hidden_from_screen_readers(icons):
    drawn = render('{% icon "dot" "icon-lg" %}')

    assert drawn.startswith('<svg class="icon icon-lg"')
    assert 'aria-hidden="true"' in drawn
    assert drawn.endswith('><path d="M1 1" /></svg>')


def test_icon_with_a_label_is_read_out(icons):
    assert 'role="img" aria-label="Broken &amp; late"' in render('{% icon "dot" label=label %}', label="Broken & late")


def test_unknown_icon_leaves_the_page_standing(icons):
    assert render('[{% icon "no-such-icon" %}]') == "[]"


def test_badge_escapes_its_label_and_knows_its_colours():
    assert (
        render('{% badge "danger" label %}', label="<b>failed</b>")
        == '<span class="badge bg-danger-lt">&lt;b&gt;failed&lt;/b&gt;</span>'
    )
    assert 'class="badge bg-secondary-lt"' in render("{% badge colour label %}", colour='x" onclick="', label="New")


def test_copy_button_carries_the_text_escaped():
    button = render("{% copy text %}", text='v=spf1 include:"a" <b>')

    assert 'data-copy="v=spf1 include:&quot;a&quot; &lt;b&gt;"' in button
    assert 'type="button"' in button


def test_empty_state_shows_what_to_do_next():
    state = render('{% empty title=title text="Upload one." %}<a href="/new">New</a>{% endempty %}', title="<none>")

    assert "&lt;none&gt;" in state
    assert "Upload one." in state
    assert '<a href="/new">New</a>' in state


def test_pages_keep_the_rest_of_the_query_string():
    page = Paginator(range(200), 20).page(3)

    links = render("{% pages page_obj %}", path="/console/lists/?q=a%26b&page=3", page_obj=page)

    assert 'href="?q=a%26b&amp;page=4"' in links
    assert '<li class="page-item active" aria-current="page"><span class="page-link">3</span></li>' in links
    assert "41–60 of 200" in links


def test_one_page_needs_no_links():
    assert render("{% pages page_obj %}", page_obj=Paginator(range(3), 20).page(1)) == ""


def test_moment_is_shown_in_the_users_time_zone():
    moment = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)

    with timezone.override("Asia/Shanghai"):
        shown = render("{% datetime moment %}", moment=moment)

    assert 'datetime="2026-03-01T23:30:00+00:00"' in shown
    assert ">2026-03-02 07:30</time>" in shown
    assert "2026-03-02 07:30:00 CST" in shown


def test_moment_tells_how_long_ago_it_was():
    assert 'title="3 hours ago · ' in render(
        "{% datetime moment %}", moment=timezone.now() - timedelta(hours=3, minutes=1)
    ).replace("\xa0", " ")


def test_moment_that_has_not_come_is_a_dash():
    assert render("{% datetime moment %}", moment=None) == '<span class="text-secondary">–</span>'


@pytest.mark.parametrize(("done", "total", "width"), [(0, 0, "0.0"), (1, 3, "33.3"), (5, 4, "100.0")])
def test_progress_stays_between_nothing_and_all(done, total, width):
    bar = render("{% progress done total %}", done=done, total=total)

    assert f'aria-valuenow="{width}"' in bar
    assert f'style="width: {width}%"' in bar


def test_stat_separates_thousands():
    with translation.override("zh-hans"):
        assert "1,204,331" in render('{% stat "Sent" value %}', value=1204331)


def test_field_ties_label_control_and_help_together():
    shown = render("{% field form.name %}", form=SampleForm())

    assert '<label class="form-label" for="id_name">Name</label>' in shown
    assert 'class="form-control"' in shown
    assert 'aria-describedby="id_name_helptext"' in shown
    assert 'id="id_name_helptext">Shown to recipients.<' in shown


def test_field_shows_its_errors_escaped():
    form = SampleForm({"kind": "<i>"})

    shown = render("{% field form.kind %}", form=form)

    assert 'class="form-select is-invalid"' in shown
    assert 'id="id_kind_error"' in shown
    assert "&lt;i&gt; is not one of the available choices." in shown


def test_field_keeps_the_widgets_own_class_and_says_what_is_optional():
    shown = render("{% field form.note %}", form=SampleForm())

    assert 'class="form-control font-monospace"' in shown
    assert "optional" in shown


def test_filters_do_not_say_that_each_is_optional():
    assert "optional" not in render("{% field form.q %}", form=FilterForm())
    assert "optional" not in render("{% field form.tag %}", form=ReportForm())


def test_checkbox_stands_before_its_label():
    shown = render("{% field form.track %}", form=SampleForm())

    assert shown.index("form-check-input") < shown.index("form-check-label")


def test_radio_buttons_are_a_fieldset_with_a_legend():
    shown = render("{% field form.way %}", form=SampleForm({"way": "y"}))

    assert '<legend class="form-label">Way</legend>' in shown
    assert shown.count('class="form-check-input"') == 2
    assert '<label class="form-check-label" for="id_way_1">Paste</label>' in shown


def test_hidden_field_has_no_label_and_its_error_is_shown_with_the_form():
    form = SampleForm({"name": "June"})

    assert render("{% field form.token %}", form=form) == '<input type="hidden" name="token" id="id_token">'
    assert "This field is required." in render("{% form_errors form %}", form=form)


def test_form_errors_are_escaped():
    form = FilterForm({})
    form.add_error(None, "<script>")

    assert "&lt;script&gt;" in render("{% form_errors form %}", form=form)


def test_form_without_errors_shows_none():
    assert render("{% form_errors form %}", form=FilterForm({})) == ""
