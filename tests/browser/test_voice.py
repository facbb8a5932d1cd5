"""The voice: numbers are said by the rules of Indonesian, and every recording that is needed exists and plays."""

import pytest
from playwright.async_api import Page

pytestmark = pytest.mark.asyncio(loop_scope="session")

MODULE = """async (name) => {
  const board = [...document.scripts].find((script) => script.src.endsWith("/board.js"));
  return import(board.src.replace("board.js", name));
}"""
NUMBERS = f"""async () => {{
  const {{ numberClips }} = await ({MODULE})("voice.js");
  return Array.from({{ length: 1200 }}, (_, number) => numberClips(number));
}}"""
SENTENCES = f"""async (calls) => {{
  const {{ sentence }} = await ({MODULE})("voice.js");
  const folder = document.documentElement.dataset.voice;
  const recorded = new Set(await (await fetch(`${{folder}}/index.json`)).json());
  return calls.map(([ticket, counter]) => sentence(ticket, counter, recorded).map((each) => each.clip));
}}"""
PLAYABLE = """async (folder) => {
  const clips = await (await fetch(`${folder}/index.json`)).json();
  const context = new OfflineAudioContext(1, 44100, 44100);
  const loud = (samples) => Math.sqrt(samples.reduce((sum, each) => sum + each * each, 0) / samples.length);
  return Promise.all(clips.map(async (clip) => {
    const buffer = await context.decodeAudioData(await (await fetch(`${folder}/${clip}.mp3`)).arrayBuffer());
    return [clip, buffer.duration, loud(buffer.getChannelData(0))];
  }));
}"""

ONES = ["nol", "satu", "dua", "tiga", "empat", "lima", "enam", "tujuh", "delapan", "sembilan"]


def in_words(number: int) -> str:
    """An Indonesian numeral up to 999, made here independently of the page."""
    if number < 10:
        return ONES[number]
    if number < 20:
        return {10: "sepuluh", 11: "sebelas"}.get(number, f"{ONES[number % 10]} belas")
    if number < 100:
        rest = number % 10
        return f"{ONES[number // 10]} puluh" + (f" {ONES[rest]}" if rest else "")
    hundred = "seratus" if number < 200 else f"{ONES[number // 100]} ratus"
    return hundred + (f" {in_words(number % 100)}" if number % 100 else "")


def said(clip: str) -> str:
    """The number on a recording, from its file name."""
    number = int(clip.removesuffix("-"))
    assert number < 20 or number % (10 if number < 100 else 100) == 0, clip
    return in_words(number)


async def test_every_number_is_said_as_in_indonesian(page: Page) -> None:
    await page.goto("/display/all")
    spoken = await page.evaluate(NUMBERS)
    for number in range(1, 1000):
        clips = spoken[number]
        assert " ".join(map(said, clips)) == in_words(number)
        assert [clip.endswith("-") for clip in clips] == [True] * (len(clips) - 1) + [False]
    assert in_words(115) == "seratus lima belas"
    assert spoken[0] == ["0"]
    assert spoken[1150] == ["1", "1", "5", "0"], "a number over 999 is said digit by digit"


@pytest.mark.parametrize("language", ["id", "en"])
async def test_every_announcement_has_its_recordings(page: Page, language: str) -> None:
    await page.goto(f"/language/{language}?next=/display/all")
    folder = await page.get_attribute("html", "data-voice")
    recorded = {clip: (seconds, loudness) for clip, seconds, loudness in await page.evaluate(PLAYABLE, folder)}
    assert all(0.1 < seconds < 4 for seconds, _ in recorded.values()), recorded
    assert all(0.03 < loudness < 0.4 for _, loudness in recorded.values()), "all recordings are equally loud"
    numbers = {clip for clips in await page.evaluate(NUMBERS) for clip in clips}
    letters = {chr(code) for code in range(ord("a"), ord("z") + 1)}
    assert numbers | letters | {"nomor-antrean", "silakan-menuju", "di-layar"} <= recorded.keys()


async def test_an_announcement_is_a_sentence(page: Page) -> None:
    await page.goto("/display/all")
    calls = [["A-115", "Loket 2"], ["B-007", "Loket A"], ["C-340", "Ruang Periksa 12"], ["A-001", "Klaster Melati"]]
    head = ["nomor-antrean"]
    assert await page.evaluate(SENTENCES, calls) == [
        [*head, "a", "100-", "15", "silakan-menuju", "loket", "2"],
        [*head, "b", "7", "silakan-menuju", "loket", "a"],
        [*head, "c", "300-", "40", "silakan-menuju", "ruang", "periksa", "12"],
        [*head, "a", "1", "silakan-menuju", "di-layar"],
    ]
