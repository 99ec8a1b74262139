"""What synthetic visitors see, use and say, and how often: weights are of 1,024."""

import json
from typing import TypeVar

T = TypeVar("T")

POOL = 1024
"""Length of the lists from which one `random()` draws a weighted choice."""


def as_json(value: object) -> str:
    """A value as JSON without spaces."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _pool(weights: dict[T, int]) -> list[T]:
    """Repeats each value by its weight, to `POOL` values in all; the first value takes the rest."""
    values = [value for value, weight in weights.items() for _ in range(weight)]
    return [next(iter(weights))] * (POOL - len(values)) + values


def _tail(scale: float, most: int) -> list[int]:
    """The quantiles of a heavy-tailed count from 1 to `most`, its median near 1 + `scale`."""
    return [
        1 + min(int(scale * u / (1 - u)), most - 1) for u in ((i + 0.5) / POOL for i in range(POOL))
    ]


SESSIONS_IN_GROUP = _tail(0.9, 40)
ACTIONS_IN_SESSION = _tail(1.7, 150)
# 5,000 interactions for 10,000 sessions
INTERACTIONS_IN_SESSION = _pool({0: 0, 1: 260, 2: 80, 3: 26, 5: 3})

SITE = "https://www.example.com"
PAGES = {
    ("/", "Example Inc. — Conversations that close"): 240,
    ("/pricing", "Pricing | Example Inc."): 150,
    ("/product/live-video", 'Live video: say "hello" to your visitors'): 110,
    ("/customers", "Customers ⭐ | Example Inc."): 70,
    ("/blog/what-is-pipeline", "What is pipeline, really? | Blog"): 60,
    ("/docs/install?platform=webflow", "Install: Webflow | Docs"): 60,
    ("/docs/api#sessions", "API reference | Docs"): 50,
    ("/demo?utm_source=mail&utm_campaign=q1%20launch", "Book a demo 🚀 | Example Inc."): 60,
    ("/de/preise", "Preise für große und kleine Teams | Example Inc."): 30,
    ("/ja/", "会話から商談へ | Example Inc."): 15,
    ("/login", "Log in"): 40,
    ("/search?q=%22salesforce%22", "Search: \\ salesforce \\"): 12,
}
REFERRERS = _pool(
    {
        "null": 330,
        as_json("https://www.google.com/"): 290,
        as_json("https://www.bing.com/"): 50,
        as_json("https://duckduckgo.com/"): 25,
        as_json("https://www.linkedin.com/feed/"): 90,
        as_json("https://t.co/Qx3vJ8LmPz"): 30,
        as_json("android-app://com.google.android.gm/"): 20,
        as_json("https://news.ycombinator.com/item?id=40911022"): 12,
        as_json("https://partner.example.org/tools?category=sales&sort=rating"): 60,
        as_json("https://chatgpt.com/"): 45,
        as_json("https://mail.example.org/campaign/2026-03?u=a1b2c3&n=1"): 40,
        '""': 12,
    }
)
INNER_REFERRERS = _pool({as_json(SITE + path): weight for (path, _), weight in PAGES.items()})

_WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64"
_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) "
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_3_1 like Mac OS X) "
_BLINK = "AppleWebKit/537.36 (KHTML, like Gecko) "
_APPLE = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 "
_CHROME = _BLINK + "Chrome/134.0.0.0 "
USER_AGENTS = _pool(
    {
        f'"{_WINDOWS}) {_CHROME}Safari/537.36"': 330,
        f'"{_MAC}{_CHROME}Safari/537.36"': 220,
        f'"{_MAC}{_APPLE}Safari/605.1.15"': 90,
        f'"{_IPHONE}{_APPLE}Mobile/15E148 Safari/604.1"': 120,
        f'"Mozilla/5.0 (Linux; Android 10; K) {_CHROME}Mobile Safari/537.36"': 90,
        f'"{_WINDOWS}) {_CHROME}Safari/537.36 Edg/134.0.0.0"': 70,
        f'"{_WINDOWS}; rv:136.0) Gecko/20100101 Firefox/136.0"': 45,
        '"Mozilla/5.0 (X11; Linux x86_64; rv:136.0) Gecko/20100101 Firefox/136.0"': 14,
        '"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"': 14,
        '"Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)"': 8,
        '"Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)"': 6,
        f'"Mozilla/5.0 (X11; Linux x86_64) {_BLINK}HeadlessChrome/133.0.6943.53"': 5,
        '"curl/8.5.0"': 2,
    }
)

FIRST_NAMES = ["Ana", "Ben", "Dmitri", "Emeka", "Fatima", "Grace", "Hiro", "Jamal", "Lena", "Priya"]
LAST_NAMES = ["Brøndum", "Chen", "D'Angelo", "García Márquez", "Müller", "Nguyễn", "Patel", "王"]
COMPANIES = ["Acme", 'Bolt & "Sons"', "Café Zoë", "Delta\\West", "株式会社エコー", "Foo <Bar> GmbH"]
TITLES = ["Account Executive", "SDR", "Sales Engineer", "Support Lead", None, "VP, Sales ✨"]
TEAMS = ["Inbound", "Enterprise", "EMEA", None]
TAGS = ["vip", "🚀", "trial", 'needs "SSO"', "churn-risk", "👩\u200d💻"]
NOTE = 'Asked about SSO, "seat" limits and the DPA.\n\tFollow up 📞 next week. '
COMMENTS = ["Great help!", "", "too slow 😒", 'She said: "one minute"… and kept her word.']
