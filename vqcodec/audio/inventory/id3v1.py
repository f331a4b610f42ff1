"""ID3v1 tags: 128 bytes behind the sound, with fields that are often too short (id3.org)."""

from __future__ import annotations

import re

from vqcodec.audio.inventory.parts import Ledger, text_of

SIZE = 128
SIGNATURE = b"TAG"
_FIELDS = (("TITLE", 3, 33), ("ARTIST", 33, 63), ("ALBUM", 63, 93), ("DATE", 93, 97))
"""Names of Vorbis comments for texts, and where these are."""
_COMMENT, _TRACK, _GENRE = 97, 126, 127
"""Where the others begin; a track is there if the byte before it is 0."""
_ENCODINGS = ("utf-8", "cp1252", "latin-1", "ascii")
"""Of texts, as programs write them; what an encoding lacks becomes a question mark."""
_NUMBER = re.compile(r"\(?(\d{1,3})\)?")
_LIST = """\
Blues;Classic Rock;Country;Dance;Disco;Funk;Grunge;Hip-Hop;Jazz;Metal;New Age;Oldies;\
Other;Pop;R&B;Rap;Reggae;Rock;Techno;Industrial;Alternative;Ska;Death Metal;Pranks;Soundtrack;\
Euro-Techno;Ambient;Trip-Hop;Vocal;Jazz+Funk;Fusion;Trance;Classical;Instrumental;Acid;House;\
Game;Sound Clip;Gospel;Noise;AlternRock;Bass;Soul;Punk;Space;Meditative;Instrumental Pop;\
Instrumental Rock;Ethnic;Gothic;Darkwave;Techno-Industrial;Electronic;Pop-Folk;Eurodance;Dream;\
Southern Rock;Comedy;Cult;Gangsta;Top 40;Christian Rap;Pop/Funk;Jungle;Native American;Cabaret;\
New Wave;Psychedelic;Rave;Showtunes;Trailer;Lo-Fi;Tribal;Acid Punk;Acid Jazz;Polka;Retro;Musical;\
Rock & Roll;Hard Rock;Folk;Folk-Rock;National Folk;Swing;Fast Fusion;Bebop;Latin;Revival;Celtic;\
Bluegrass;Avantgarde;Gothic Rock;Progressive Rock;Psychedelic Rock;Symphonic Rock;Slow Rock;\
Big Band;Chorus;Easy Listening;Acoustic;Humour;Speech;Chanson;Opera;Chamber Music;Sonata;\
Symphony;Booty Bass;Primus;Porn Groove;Satire;Slow Jam;Club;Tango;Samba;Folklore;Ballad;\
Power Ballad;Rhythmic Soul;Freestyle;Duet;Punk Rock;Drum Solo;A Cappella;Euro-House;Dance Hall;\
Goa;Drum & Bass;Club-House;Hardcore Techno;Terror;Indie;BritPop;Afro-Punk;Polsk Punk;Beat;\
Christian Gangsta Rap;Heavy Metal;Black Metal;Crossover;Contemporary Christian;Christian Rock;\
Merengue;Salsa;Thrash Metal;Anime;Jpop;Synthpop;Abstract;Art Rock;Baroque;Bhangra;Big Beat;\
Breakbeat;Chillout;Downtempo;Dub;EBM;Eclectic;Electro;Electroclash;Emo;Experimental;Garage;\
Global;IDM;Illbient;Industro-Goth;Jam Band;Krautrock;Leftfield;Lounge;Math Rock;New Romantic;\
Nu-Breakz;Post-Punk;Post-Rock;Psytrance;Shoegaze;Space Rock;Trop Rock;World Music;Neoclassical;\
Audiobook;Audio Theatre;Neue Deutsche Welle;Podcast;Indie Rock;G-Funk;Dubstep;Garage Rock;\
Psybient"""
GENRES = tuple(_LIST.split(";"))
"""By their numbers."""
_NO_GENRE = "Other"


def enter_id3v1(tag: bytes, ledger: Ledger) -> None:
    """Enter the fields of a tag when all others have been entered: a field that is another's text,
    or the beginning of it, says nothing new, and one that contradicts is not kept.
    """
    known: dict[str, list[str]] = {}
    for name, text in ledger.tags:
        known.setdefault(name, []).append(text)
    has_track = tag[_TRACK - 1] == 0 and tag[_TRACK] != 0
    fields = (*_FIELDS, ("COMMENT", _COMMENT, _TRACK - 1 if has_track else _GENRE))
    for name, start, stop in fields:
        data = tag[start:stop].partition(b"\0")[0].rstrip()
        if data and not any(_begins(text, data, stop - start) for text in known.get(name, ())):
            _enter(name, text_of(data), known, ledger)
    if has_track:
        tracks = (
            text.partition("/")[0].strip().lstrip("0") for text in known.get("TRACKNUMBER", ())
        )
        if str(tag[_TRACK]) not in tracks:
            _enter("TRACKNUMBER", str(tag[_TRACK]), known, ledger)
    if tag[_GENRE] != 0xFF:
        _enter_genre(tag[_GENRE], known, ledger)


def genre_of(text: str) -> str:
    """Return the genre that a text means, which may be a number of `GENRES`: 17 or (17)."""
    found = _NUMBER.fullmatch(text)
    number = int(found[1]) if found else len(GENRES)
    return GENRES[number] if number < len(GENRES) else text


def _enter_genre(number: int, known: dict[str, list[str]], ledger: Ledger) -> None:
    genre = genre_of(str(number))
    others = [genre_of(text).lower() for text in known.get("GENRE", ())]
    if genre.lower() not in others and not (others and genre == _NO_GENRE):
        _enter("GENRE", genre, known, ledger)


def _enter(name: str, text: str, known: dict[str, list[str]], ledger: Ledger) -> None:
    if name in known:
        ledger.other_tag(f"{name} of ID3v1")
    else:
        ledger.tag(name, text)


def _begins(text: str, data: bytes, size: int) -> bool:
    """Tell whether a text, cut to a field's size, is what the field has."""
    return any(text.encode(name, "replace")[:size].rstrip() == data for name in _ENCODINGS)
