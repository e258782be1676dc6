"""Codecs as the command line names them."""

from pathlib import Path

import pytest

from meanflow_audio_codec.errors import InputError
from meanflow_audio_codec.evaluators.peers.opus_decoder import OpusDecoder
from meanflow_audio_codec.listening.comparison.codec_choice import (
    FolderChoice,
    ModelChoice,
    PeerChoice,
    parse_choice,
    parse_choices,
)

GOOD = [
    ModelChoice("speech-16k", "speech-16k", None),
    ModelChoice("speech-16k@6", "speech-16k", 6.0),
    ModelChoice("speech-16k@3:temperature=1,steps=4,seed=7", "speech-16k", 3.0, 1.0, 4, 7),
    ModelChoice("runs/mine/model@1.5:steps=2", "runs/mine/model", 1.5, None, 2),
    ModelChoice("owner/model:temperature=0", "owner/model", None, 0.0),
    PeerChoice("opus@9", "opus", 9.0),
    PeerChoice("opus@6:decoder=nolace", "opus", 6.0, OpusDecoder.NOLACE),
    PeerChoice("lyra@9.2", "lyra", 9.2),
    FolderChoice("folder:out/opus@9:x=1", Path("out/opus@9:x=1"), None),
    FolderChoice("folder@12:decoded", Path("decoded"), 12.0),
]


@pytest.mark.parametrize("choice", GOOD, ids=lambda choice: choice.text)
def test_each_form_is_understood(choice):
    assert parse_choice(choice.text) == choice


BAD = {
    "": "names no codec",
    "@6": "names no codec",
    "speech-16k@": "names no codec",
    "speech-16k@six": "rate 'six'; give a number",
    "speech-16k@0": "kbit/s above 0",
    "speech-16k@nan": "kbit/s above 0",
    "speech-16k@inf": "kbit/s above 0",
    "speech-16k:temperature": "as OPTION=VALUE",
    "speech-16k:temperature=1,temperature=0": "once",
    "speech-16k:warmth=1": "options are: temperature, steps, seed",
    "speech-16k:temperature=3": "temperature must lie in 0 ... 2, not 3.0",
    "speech-16k:steps=2.5": "give a whole number",
    "speech-16k:steps=0": "steps must lie in",
    "speech-16k:seed=-1": "seed must lie in",
    "opus": "write opus@KBPS",
    "opus@9:decoder=best": "choose from none, lace, nolace",
    "opus@9:temperature=1": "options are: decoder",
    "lyra@6:decoder=lace": "options are: none",
    "folder:": "write folder:PATH",
    "folder@12": "write folder:PATH",
}


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_codec_is_refused_on_one_line(text):
    with pytest.raises(InputError) as error:
        parse_choice(text)
    assert BAD[text] in str(error.value)
    assert "\n" not in str(error.value)


def test_one_codec_twice_is_refused():
    with pytest.raises(InputError, match="opus@9 is named twice"):
        parse_choices(["opus@9", "speech-16k", "opus@9"])
