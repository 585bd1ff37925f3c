"""What is sent to browsers, without one: its language, its size, its words."""

import gzip
import re
import subprocess

from stage import ROOT, check

ASSETS = ROOT / "assets"
TOOLS = ROOT / "target/tools/browser"


def text(name):
    return (ASSETS / name).read_text()


def packed(*names):
    return sum(len(gzip.compress((ASSETS / name).read_bytes(), 9)) for name in names)


def scripts_are_ecmascript_5():
    subprocess.run([TOOLS / "node_modules/.bin/es-check", "es5", str(ASSETS / "*.js")], check=True, stdout=subprocess.DEVNULL)


def the_player_is_below_10_kb_and_the_page_below_40_kb():
    player, page = packed("player.js"), packed(*(file.name for file in ASSETS.iterdir()))
    check(player <= 10_000 and page <= 40_000, (player, page))
    return f"player {player}, all {page} bytes"


def the_live_edge_is_held_by_rate_and_rare_seeks():
    subprocess.run(["node", ROOT / "tests/browser/edge.js", ASSETS / "player.js"], check=True)


def every_text_is_there_in_every_language_and_none_is_idle():
    tables = re.findall(r"^    (\w\w): \{\n(.*?)^    \}", text("words.js"), re.M | re.S)
    keys = {language: set(re.findall(r"(?:^|, )\s*(\w+): '", table, re.M)) for language, table in tables}
    check({"en", "de"} <= set(keys), keys.keys())
    for language, there in keys.items():
        check(there == keys["en"], (language, there ^ keys["en"]))
    code = "".join(text(name) for name in ("player.js", "page.js", "tables.js", "admin.js"))
    # Named in a call, or by what is then asked for.
    idle = {key for key in keys["en"] if f"'{key}'" not in code}
    check(not idle, idle)


def what_is_wrong_is_said_in_every_language():
    kinds = re.findall(r"^    \w+, \"(\w+)\", \d", (ROOT / "src/live/finding.rs").read_text(), re.M)
    check(len(kinds) > 10, kinds)
    (table,) = re.findall(r"^  var wrong = \{ de: \{\n(.*?)^  \} \};", text("words.js"), re.M | re.S)
    check(re.findall(r"^    (\w+): \[", table, re.M) == kinds, kinds)


def nothing_from_the_network_becomes_markup():
    for file in ASSETS.glob("*.js"):
        check(not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", file.read_text()), file.name)
    for file in ASSETS.glob("*.html"):
        check(not re.search(r"<script>|<style|\son\w+=|\sstyle=", file.read_text()), file.name)


CASES = [
    scripts_are_ecmascript_5,
    the_player_is_below_10_kb_and_the_page_below_40_kb,
    the_live_edge_is_held_by_rate_and_rare_seeks,
    every_text_is_there_in_every_language_and_none_is_idle,
    what_is_wrong_is_said_in_every_language,
    nothing_from_the_network_becomes_markup,
]
