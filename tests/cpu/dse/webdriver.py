"""As much of a WebDriver client (https://www.w3.org/TR/webdriver2/) as the report's tests need."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

#: Without these, Chromium talks to hosts of its maker's, and needs a sandbox that root does not get.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,1000",
    "--force-device-scale-factor=1",
)
KEYS = {
    "Enter": "\ue007",
    "Escape": "\ue00c",
    "Shift": "\ue008",
    "Up": "\ue013",
    "Right": "\ue014",
    "Down": "\ue015",
}


class Browser:
    """A headless Chromium with a profile of its own, through its driver; `close` ends both."""

    def __init__(self, profile: Path) -> None:
        driver, binary = shutil.which("chromedriver"), shutil.which("chromium")
        if not driver or not binary:
            pytest.skip("Chromium and its driver are not installed: apt-get install chromium chromium-driver")
        self.process = subprocess.Popen(
            [driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdout is not None
        started = next(
            m for line in self.process.stdout if (m := re.search(r"successfully on port (\d+)", line))
        )
        self.address = f"http://127.0.0.1:{started[1]}/session"
        options = {"binary": binary, "args": [*FLAGS, f"--user-data-dir={profile}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        told = self._ask("POST", "", {"capabilities": {"alwaysMatch": wanted}})
        self.address += f"/{told['sessionId']}"

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.address + path, data, {"Content-Type": "application/json"}, method=method)
        with urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def open(self, page: Path, fragment: str = "") -> None:
        """Load the page anew; the console is emptied."""
        self._ask("POST", "/url", {"url": "about:blank"})
        self._ask("POST", "/url", {"url": f"{page.resolve().as_uri()}{fragment}"})
        self.console()
        self.settle()

    def run(self, script: str, *arguments: Any) -> Any:
        """What a function body returns in the page."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def settle(self) -> None:
        """Wait until what was asked to be drawn is."""
        script = "const d = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => d()));"
        self._ask("POST", "/execute/async", {"script": script, "args": []})

    def console(self) -> list[str]:
        """What the page complained about since it was last asked."""
        return [entry["message"] for entry in self._ask("POST", "/se/log", {"type": "browser"})]

    def pointer(self, *steps: tuple[float, float] | str) -> None:
        """Real pointer events: go to places of the window, "down", "up"."""
        made: list[dict[str, Any]] = []
        for step in steps:
            if isinstance(step, str):
                made.append({"type": f"pointer{step.capitalize()}", "button": 0})
            else:
                x, y = round(step[0]), round(step[1])
                made.append({"type": "pointerMove", "duration": 0, "x": x, "y": y, "origin": "viewport"})
        mouse = {"type": "pointer", "id": "mouse", "parameters": {"pointerType": "mouse"}, "actions": made}
        self._ask("POST", "/actions", {"actions": [mouse]})
        self.settle()

    def click(self, place: tuple[float, float]) -> None:
        """Press and let go there."""
        self.pointer(place, "down", "up")

    def keys(self, *names: str) -> None:
        """Press keys one after the other; "Shift+Up" holds the first meanwhile."""
        made = []
        for name in names:
            held = [KEYS[part] for part in name.split("+")]
            made += [{"type": "keyDown", "value": key} for key in held]
            made += [{"type": "keyUp", "value": key} for key in reversed(held)]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": made}]})
        self.settle()

    def middle(self, selector: str) -> tuple[float, float]:
        """Where an element's middle is, once it is scrolled into view."""
        x, y = self.run(
            "const e = document.querySelector(arguments[0]); e.scrollIntoView({block: 'center'});"
            "const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2];",
            selector,
        )
        return x, y

    def text(self, selector: str) -> str:
        """An element's text as it is laid out."""
        return str(self.run("return document.querySelector(arguments[0]).innerText", selector))

    def media(self, **features: str) -> None:
        """Pretend: `scheme` "dark" or "light", `kind` "print" or "screen"."""
        scheme = {"name": "prefers-color-scheme", "value": features.get("scheme", "light")}
        params = {"media": features.get("kind", ""), "features": [scheme]}
        body = {"cmd": "Emulation.setEmulatedMedia", "params": params}
        self._ask("POST", "/goog/cdp/execute", body)
        self.settle()

    def resize(self, width: int, height: int) -> None:
        """Set the window's size."""
        self._ask("POST", "/window/rect", {"width": width, "height": height})
        self.settle()

    def close(self) -> None:
        """End the browser and its driver."""
        try:
            self._ask("DELETE", "")
        finally:
            self.process.terminate()
            self.process.wait(10)
