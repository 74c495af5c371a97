"""The words and syllables that the synthetic voice can say, as phonemes."""

from __future__ import annotations

from collections.abc import Iterable

from auricle.synth.voice import PAUSE

KEYWORDS = (
    *("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go"),
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    *("bed", "bird", "cat", "dog", "happy", "house", "robin", "tree", "wow", "lemon"),
)
DIGITS = KEYWORDS[10:20]

_SPELLING = """
yes Y EH S; no N OW; up AH P; down D AW N; left L EH F T; right R AY T; on AA N; off AO F
stop S T AA P; go G OW; zero Z IH R OW; one W AH N; two T UW; three TH R IY; four F AO R
five F AY V; six S IH K S; seven S EH V AH N; eight EY T; nine N AY N; bed B EH D; bird B ER D
cat K AE T; dog D AO G; happy HH AE P IY; house HH AW S; robin R AA B IH N; tree T R IY; wow W AW
lemon L EH M AH N; turn T ER N; the DH AH; lights L AY T S; music M Y UW Z IH K; heat HH IY T
lamp L AE M P; volume V AA L Y UW M; kitchen K IH CH AH N; bedroom B EH D R UW M
washroom W AA SH R UW M; increase IH N K R IY S; decrease D IY K R IY S
activate AE K T IH V EY T; switch S W IH CH; bring B R IH NG; fetch F EH CH; shoes SH UW Z
socks S AA K S; juice JH UW S; newspaper N UW Z P EY P ER; language L AE NG G W IH JH
chinese CH AY N IY Z; german JH ER M AH N; korean K AO R IY AH N; english IH NG G L IH SH
set S EH T; change CH EY N JH; to T UW; my M AY; in IH N; big B IH G; small S M AO L; red R EH D
green G R IY N; old OW L D; young Y AH NG; man M AE N; woman W UH M AH N; sees S IY Z
likes L AY K S; finds F AY N D Z; takes T EY K S; wants W AA N T S; book B UH K; ball B AO L
boat B OW T; fish F IH SH; apple AE P AH L; near N IY R; under AH N D ER; behind B IY HH AY N D
river R IH V ER; table T EY B AH L; girl G ER L; boy B OY; horse HH AO R S; cup K AH P
"""
LEXICON: dict[str, tuple[str, ...]] = {
    entry.split()[0]: tuple(entry.split()[1:])
    for line in _SPELLING.strip().splitlines()
    for entry in line.split(";")
}

TONES: dict[int, tuple[float, ...]] = {
    1: (1.30, 1.30, 1.30),
    2: (0.85, 0.95, 1.35),
    3: (0.95, 0.65, 0.70, 0.95),
    4: (1.45, 1.15, 0.65),
}
"""Relative pitch over a syllable: level, rising, dipping, falling."""

_SYLLABLES = (("M AA", "妈麻马骂"), ("Y IY", "衣移椅易"), ("SH UW", "书熟鼠树"))
TONAL: dict[str, tuple[tuple[str, ...], int]] = {
    character: (tuple(sounds.split()), tone)
    for sounds, characters in _SYLLABLES
    for tone, character in enumerate(characters, start=1)
}
"""Han character: (phonemes, tone). Each syllable occurs with all four tones, so tone decides."""


def pronounce(words: Iterable[str]) -> list[str]:
    """Phonemes of a phrase, with a short pause on either side."""
    return [PAUSE, *(sound for word in words for sound in LEXICON[word]), PAUSE]
