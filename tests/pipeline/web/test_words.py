"""All texts of the page are in words.js, and every text that a script asks for is there."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

pytest.importorskip("fastapi", reason="needs the extra `web`")

from reidpipe.pipeline.web.pages import STATIC

SCRIPTS = sorted(path for path in STATIC.glob("*.js") if path.name != "words.js")
WORDS = (STATIC / "words.js").read_text(encoding="utf-8")
QUOTED = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
# What is no text: classes, selectors, names of keys, of fonts and of media types.
NO_TEXT = re.compile(
    r"Arrow\w+|Page(Up|Down)|Enter|Home|End|POST|T|Z|UTC|CSV|P\$|\(?prefers-color-scheme.*|[a-z]+/[a-z]+.*|[#.\[/].*")
OPENERS = re.compile(
    r"(class: [^,{}()]*|classList\.\w+\(|querySelector(All)?\(|closest\(|startsWith\(|font = )$")
TEXT = re.compile(r"[A-Za-z]{2,},? [A-Za-z]{2,}|^[A-Z][a-z]+|[a-z]{2,}[.…?!:]|^ ?[a-z]{3,} $| [a-z]{3,}$")


def literals(source):
    """The strings of a script, without comments and without what templates insert, and what is before each."""
    source = re.sub(r"^\s*//.*$|(?<=[;{(,]) // .*$", "", source, flags=re.M)
    inside, at = [], 0  # templates [begin, text], and None for each open brace of code
    while at < len(source):
        if inside and inside[-1] is not None:  # in the text of a template
            if source.startswith("${", at):
                inside[-1][1] += "$"
                inside.append(None)
                at += 1
            elif source[at] == "`":
                begin, text = inside.pop()
                yield text, source[max(0, begin - 40):begin]
            else:
                inside[-1][1] += source[at]
        elif source[at] == '"':
            found = QUOTED.match(source, at)
            yield found[1], source[max(0, at - 40):at]
            at = found.end() - 1
        elif source[at] == "`":
            inside.append([at, ""])
        elif source[at] == "{":
            inside.append(None)
        elif source[at] == "}":
            inside.pop()
        at += 1


def texts(source):
    return [
        text for text, before in literals(source)
        if TEXT.search(text) and not NO_TEXT.fullmatch(text) and not OPENERS.search(before)]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_hold_no_texts_of_their_own(path):
    assert texts(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("line", [
    'make("p", {}, "No picture is there")', 'toast("Saved")', "make(`${count} people in view`)", 'button: "Save name"',
    'make("span", {}, "seen at once")', 'make("b", {}, "similarity ")'])
def test_a_text_in_a_script_is_found(line):
    assert texts(line)


def words_of(name):
    (body,) = re.findall(rf"^export const {name} = \{{(.*?)\}};$", WORDS, flags=re.M | re.S)
    return set(re.findall(r"(\w+): ", body))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_word_that_a_script_uses_is_there(path):
    source = path.read_text(encoding="utf-8")
    for names in re.findall(r'import \{ (.*) \} from "./words.js"', source):
        for name, _, own in (one.strip().partition(" as ") for one in names.split(",")):
            used = set(re.findall(rf"\b{own or name}\.(\w+)", source))
            assert used <= words_of(name), name



class _Texts(HTMLParser):
    """The texts and names in a page, without what needs no script."""

    def __init__(self):
        super().__init__()
        self.found, self.keys, self.tags = [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "link", "input"):
            self.tags.append(tag)
        for name, value in attrs:
            if name in ("title", "aria-label", "alt", "placeholder"):
                self.found.append(value)
            if name in ("data-text", "data-name"):
                self.keys.append(value)

    def handle_endtag(self, tag):
        self.tags.pop()

    def handle_data(self, data):
        if data.strip() and not {"noscript", "title"} & set(self.tags):
            self.found.append(data.strip())


def test_the_page_itself_holds_no_texts():
    parser = _Texts()
    parser.feed((STATIC / "index.html").read_text(encoding="utf-8"))
    assert parser.found == ["reidpipe", "◐"]
    assert set(parser.keys) == words_of("BAR")
