"""A headless Chromium from the system, driven by its own driver; nothing is downloaded."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

INSTALL = "install Chromium with its driver (Debian, Ubuntu: apt-get install chromium chromium-driver)"
WAIT_S = 60


class Browser:
    """One browser window and what it logged."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver

    def open(self, path: Path) -> None:
        """Open a file and wait until its script is done."""
        self.driver.get(path.as_uri())
        self.wait(lambda: self.run("return document.documentElement.dataset.ready === 'yes'"))

    def run(self, script: str, *given: Any) -> Any:
        """Run a script in the page."""
        return self.driver.execute_script(script, *given)

    def wait(self, condition: Callable[[], Any]) -> Any:
        """Wait until something is so."""
        return WebDriverWait(self.driver, WAIT_S, poll_frequency=0.02).until(lambda _: condition())

    def keys(self, selector: str, text: str) -> None:
        """Type into an element."""
        self.driver.find_element("css selector", selector).send_keys(text)

    def click(self, selector: str) -> None:
        """Click an element as a user would, after scrolling to it."""
        node = self.driver.find_element("css selector", selector)
        self.run("arguments[0].scrollIntoView({block: 'center'})", node)
        node.click()

    def text(self, selector: str) -> str:
        """The visible text of an element."""
        return str(self.run("return document.querySelector(arguments[0]).innerText", selector))

    def cells(self, column: str) -> list[str]:
        """The texts of a column in the rows that are drawn, top to bottom."""
        return list(
            self.run(
                "const head = [...document.querySelector('#grid .head').children]"
                ".map((cell) => cell.firstElementChild?.dataset.sort);"
                "const at = head.indexOf(arguments[0]);"
                "return [...document.querySelectorAll('#grid .space .row')].map((row) => row.children[at].innerText)",
                column,
            )
        )

    def count(self) -> int:
        """How many rows fit the filters."""
        return int(self.text("#count").split()[0].replace(",", ""))

    def complaints(self) -> list[str]:
        """What the console holds: errors, warnings, broken policies."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]

    def requests(self) -> list[str]:
        """Every address the page asked for since the last look."""
        sent = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [each["params"]["request"]["url"] for each in sent if each["method"] == "Network.requestWillBeSent"]

    def command(self, name: str, **given: Any) -> Any:
        """A command of the devtools protocol."""
        return self.driver.execute_cdp_cmd(name, given)

    def size(self, width: int, height: int) -> None:
        """Give the page a window of that many pixels."""
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False
        )

    def dark(self, *, on: bool) -> None:
        """Let the system ask for dark or light."""
        value = "dark" if on else "light"
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])

    def picture(self, path: Path) -> None:
        """Save what the window shows."""
        found = self.command("Page.captureScreenshot", format="png", optimizeForSpeed=False)
        path.write_bytes(base64.b64decode(found["data"]))

    def pdf(self, path: Path) -> None:
        """Print the page."""
        found = self.command("Page.printToPDF", printBackground=True, preferCSSPageSize=True)
        path.write_bytes(base64.b64decode(found["data"]))


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start the browser; it is stopped with its driver at the end."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert program, INSTALL
    assert driver, INSTALL
    options = Options()
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1440,1000",
        "--disable-background-networking", "--disable-component-update", "--no-first-run", "--disable-sync",
        "--force-device-scale-factor=1", "--lang=en",
    ):  # fmt: skip
        options.add_argument(argument)
    options.binary_location = program
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(driver))
    try:
        started.set_script_timeout(WAIT_S)
        yield Browser(started)
    finally:
        started.quit()
