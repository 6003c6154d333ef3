import json
import re
import shutil
import subprocess
from html import unescape

import pytest

from cli.views.page import report_page
from tests.runtime.scenes import HOSTILE, make_history, make_scene, make_workload

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to open the page with")

POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')

# What a reader does with keyboard and pointer, and what the page answers.
DEEDS = """
const told = {};
const map = document.querySelector("section.map");
const field = map.querySelector("input");
const shown = () => [...map.querySelectorAll(".card")].filter((c) => !c.hidden).length;
told.before = shown();
field.value = "server 1"; field.dispatchEvent(new Event("input"));
told.found = shown(); told.count = map.querySelector("output").textContent;
field.value = "no such thing"; field.dispatchEvent(new Event("input"));
told.lost = shown();
field.value = ""; field.dispatchEvent(new Event("input"));
const chip = map.querySelector(".chips button"); chip.click();
told.pressed = chip.getAttribute("aria-pressed");
told.lit = map.querySelectorAll(".on-model").length;
told.same = map.querySelectorAll(`.mark[data-model="${chip.dataset.model}"]`).length;
chip.click(); told.off = map.querySelectorAll(".on-model").length;
const marks = [...map.querySelector("svg.picture").querySelectorAll(".mark")];
const key = (name) => document.activeElement.dispatchEvent(
  new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
marks[0].focus(); key("ArrowRight");
told.next = marks.indexOf(document.activeElement);
key("End"); told.end = marks.length - 1 - marks.indexOf(document.activeElement);
told.stops = marks.filter((m) => m.getAttribute("tabindex") === "0").length;
const tip = document.getElementById("tip");
told.tip = tip.hidden ? null : tip.textContent;
told.label = document.activeElement.getAttribute("aria-label");
key("Escape"); told.closed = tip.hidden;
const theme = document.getElementById("theme");
theme.click(); told.first = document.documentElement.dataset.theme;
theme.click(); told.second = document.documentElement.dataset.theme;
told.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
const result = document.createElement("pre");
result.id = "told"; result.textContent = JSON.stringify(told);
document.body.append(result);
"""


# Least contrast (WCAG 2.2, 1.4.3) of any text with what lies behind it, and the page's lightness.
CONTRAST = """
const parts = (c) => c.match(/[\\d.]+/g).map(Number);
const light = (c) => parts(c).slice(0, 3).map((v) => v / 255).map(
  (v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
).reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (e) => {
  for (let at = e; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor;
    if (!(parts(colour)[3] === 0)) return colour;
  }
  return "rgb(255, 255, 255)";
};
const page = light(getComputedStyle(document.body).backgroundColor);
const told = { least: 99, where: "", seen: 0, page };
for (const e of document.querySelectorAll("body *")) {
  const text = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
  // Labels in blocks lie on their block's own colour, the same in both themes.
  if (!text || e.matches("script, .skip, #tip, text.on") || !e.getClientRects().length) continue;
  const style = getComputedStyle(e);
  const pair = [light(e instanceof SVGElement ? style.fill : style.color), light(behind(e))];
  pair.sort((a, b) => b - a);
  const contrast = (pair[0] + 0.05) / (pair[1] + 0.05);
  told.seen += 1;
  if (contrast < told.least) { told.least = contrast; told.where = e.outerHTML.slice(0, 120); }
}
const result = document.createElement("pre");
result.id = "told"; result.textContent = JSON.stringify(told);
document.body.append(result);
"""


def open_page(folder, html: str, width: int = 1280, *flags: str) -> tuple[str, list[str]]:
    page = folder / "page.html"
    page.write_text(html, encoding="utf-8")
    done = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
            "--no-first-run", "--disable-background-networking", *flags,
            f"--user-data-dir={folder / 'profile'}", f"--window-size={width},900", "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def make_page(servers: int) -> str:
    workload = make_workload(first_model=HOSTILE)
    scene = make_scene(servers, workload=workload)
    other = make_scene(servers, workload=workload, keep=0.5, name="greedy")
    return report_page(scene, others=[other], history=make_history())


def carry_out(folder, html: str, script: str, width: int = 1280, *flags: str) -> dict:
    """What a script put into a page tells, once the console has stayed empty."""
    html = POLICY.sub("", html).replace("</body>", f"<script>{{{script}}}</script></body>")
    dom, complaints = open_page(folder, html, width, *flags)
    assert complaints == []
    found = re.search(r'<pre id="told">(.*?)</pre>', dom, re.DOTALL)
    assert found, "the script did not come to its end"
    return json.loads(unescape(found[1]))


@pytest.mark.parametrize("servers", [2, 128])
def test_browser_has_nothing_to_complain_of(tmp_path, servers):
    """At 16 and at 1,024 GPUs the script runs under its own policy, and the console stays empty."""
    dom, complaints = open_page(tmp_path, make_page(servers))
    assert complaints == []
    assert '<g tabindex="0"' in dom, "the script has not run"
    assert "<img" not in dom, "a name became an element"


def test_page_answers_to_keyboard_and_pointer(tmp_path):
    """Search, legend, arrow keys, details and theme do what they say; nothing sticks out."""
    told = carry_out(tmp_path, make_page(4), DEEDS, 700)
    assert (told["before"], told["found"], told["lost"]) == (4, 1, 0)
    assert told["count"] == "1 of 4 shown"
    assert told["pressed"] == "true"
    assert told["lit"] == told["same"] > 0
    assert told["off"] == 0
    assert (told["next"], told["end"], told["stops"]) == (1, 0, 1)
    assert told["tip"] == told["label"]
    assert told["closed"]
    assert {told["first"], told["second"]} == {"dark", "light"}
    assert told["wide"] == 0


@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_read_in_either_theme(tmp_path, dark):
    """The page takes the system's theme, and every text has a contrast of 4.5 and more."""
    flag = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    told = carry_out(tmp_path, make_page(4), CONTRAST, 1280, flag)
    assert (told["page"] < 0.1) == dark
    assert told["seen"] > 100
    assert told["least"] >= 4.5, told["where"]
