"""What kind of content a file has: by the end of its name, then by its first bytes. Opens nothing.

The lists are what Gemini CLI 0.61 goes by: types of names are the registered ones (no vendor types).
"""

from typing import Final

_IMAGES: Final = {
    "apng": "apng", "avif": "avif", "bmp": "bmp", "dib": "bmp", "emf": "emf", "exr": "aces", "fits": "fits",
    "gif": "gif", "heic": "heic", "heif": "heif", "jfif": "pjpeg", "jp2": "jp2", "jpe": "jpeg", "jpeg": "jpeg",
    "jpf": "jpx", "jpg": "jpeg", "jpm": "jpm", "jpx": "jpx", "jxl": "jxl", "jxr": "jxr", "ktx": "ktx", "ktx2": "ktx2",
    "png": "png", "sgi": "sgi", "svgz": "svg+xml", "tif": "tiff", "tiff": "tiff", "webp": "webp", "wmf": "wmf",
}  # fmt: skip
_AUDIO: Final = {
    "aac": "aac", "adts": "aac", "aif": "aiff", "aiff": "aiff", "amr": "amr", "au": "basic", "flac": "flac",
    "m2a": "mpeg", "m3a": "mpeg", "m4a": "mp4", "m4b": "mp4", "mid": "midi", "midi": "midi", "mp2": "mpeg",
    "mp2a": "mpeg", "mp3": "mpeg", "mp4a": "mp4", "mpga": "mpeg", "oga": "ogg", "ogg": "ogg", "opus": "ogg",
    "snd": "basic", "spx": "ogg", "wav": "wav", "weba": "webm",
}  # fmt: skip
_VIDEO: Final = {
    "3g2": "3gpp2", "3gp": "3gpp", "3gpp": "3gpp", "h264": "h264", "m1v": "mpeg", "m2t": "mp2t", "m2ts": "mp2t",
    "m2v": "mpeg", "m4s": "iso.segment", "mj2": "mj2", "mov": "quicktime", "mp4": "mp4", "mp4v": "mp4", "mpe": "mpeg",
    "mpeg": "mpeg", "mpg": "mpeg", "mpg4": "mp4", "ogv": "ogg", "qt": "quicktime", "webm": "webm",
}  # fmt: skip
HEARD: Final = frozenset({"audio/mpeg", "audio/wav", "audio/aiff", "audio/aac", "audio/ogg", "audio/flac"})
"""The kinds of sound that the model takes."""

BINARY: Final = frozenset(
    "7z a bin bmp bz2 class dat dll doc docx dylib exe gif gz jar jpeg jpg lib o obj odp ods odt pak pdf png ppt pptx "
    "pyc pyo rar rpa so svg tar war wasm webp xls xlsx zip".split()
)
SCRIPTS: Final = frozenset({"ts", "mts", "cts"})
"""TypeScript, whose names are also those of videos."""

SNIFFED: Final = 512
_PRINTED: Final = bytes((*range(0x07, 0x0F), *range(0x20, 0x80)))
"""ASCII that stands in texts."""
SUSPICIOUS_SHARE: Final = 10
"""Per cent of bytes that are no text, above which a file is binary."""


def kind(name: str, content: bytes) -> tuple[str, str]:
    """Return (`text` | `svg` | `image` | `audio` | `video` | `pdf` | `binary`, MIME type or empty)."""
    ending = name.rsplit(".", 1)[1].lower() if "." in name[1:] else ""
    if ending in SCRIPTS:
        return "text", ""
    if ending == "svg":
        return "svg", ""
    if ending in _IMAGES:
        return "image", f"image/{_IMAGES[ending]}"
    if ending in _AUDIO or ending in _VIDEO:
        if not binary(content):
            return "text", ""
        return ("audio", f"audio/{_AUDIO[ending]}") if ending in _AUDIO else ("video", f"video/{_VIDEO[ending]}")
    if ending == "pdf":
        return "pdf", "application/pdf"
    return ("binary" if ending in BINARY or binary(content) else "text"), ""


def binary(content: bytes) -> bool:
    """Whether the first bytes look like no text: a zero byte, or too many that are neither ASCII nor UTF-8."""
    if content.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff", b"\x84\x31\x95\x33")):
        return False
    if content.startswith(b"%PDF-") or b"\0" in content[:SNIFFED]:
        return True
    sample = content[:SNIFFED]
    if sample.isascii():
        return len(sample.translate(None, _PRINTED)) * 100 > SUSPICIOUS_SHARE * len(sample)
    text = content[: SNIFFED + 3].decode("utf-8", "surrogateescape")
    odd = 0
    seen = 0
    for char in text:
        if seen >= len(sample):
            break
        odd += "\udc80" <= char <= "\udcff" or (char < " " and not "\x07" <= char <= "\x0e")
        seen += 1 if char < "\x80" or "\udc80" <= char <= "\udcff" else len(char.encode())
    return odd * 100 > SUSPICIOUS_SHARE * len(sample)
