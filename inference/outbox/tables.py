"""The outbox's tables in SQLite, and what is read from them.

`rows`: what was acknowledged; `cut` names the file that a row belongs to, NULL before it is cut. `images`: pictures; `data`
is NULL once the bucket has them. `cuts`: files not yet known to be in the bucket. `answers`: by prediction id, for retries.
"""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rows (seq INTEGER PRIMARY KEY AUTOINCREMENT, tbl TEXT NOT NULL, day TEXT NOT NULL,
    recorded_us INTEGER NOT NULL, body TEXT NOT NULL, size INTEGER NOT NULL, image TEXT, cut INTEGER);
CREATE INDEX IF NOT EXISTS rows_open ON rows (tbl, day, seq) WHERE cut IS NULL;
CREATE INDEX IF NOT EXISTS rows_cut ON rows (cut) WHERE cut IS NOT NULL;
CREATE INDEX IF NOT EXISTS rows_image ON rows (image) WHERE image IS NOT NULL;
CREATE TABLE IF NOT EXISTS images (sha256 TEXT PRIMARY KEY, extension TEXT NOT NULL, size INTEGER NOT NULL, data BLOB);
CREATE INDEX IF NOT EXISTS images_waiting ON images (sha256) WHERE data IS NOT NULL;
CREATE TABLE IF NOT EXISTS cuts (id INTEGER PRIMARY KEY AUTOINCREMENT, tbl TEXT NOT NULL, day TEXT NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, count INTEGER NOT NULL, rows_sha256 TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS answers (prediction_id TEXT PRIMARY KEY, body_hash TEXT NOT NULL, answer TEXT NOT NULL,
    until_us INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answers_until ON answers (until_us);
"""
# A network that answers NaN leaves no JSON; its rows are found once they are in the bucket.
_REQUEST = "CASE WHEN json_valid(body) THEN json_extract(body, '$.request_id') END"
REQUEST_INDEX = f"CREATE INDEX IF NOT EXISTS rows_request ON rows ({_REQUEST}) WHERE tbl = 'predictions'"
ROWS_OF_REQUESTS = f"SELECT body FROM rows WHERE tbl = 'predictions' AND {_REQUEST} IN (SELECT value FROM json_each(?))"
INSERT_ROW = "INSERT INTO rows (tbl, day, recorded_us, body, size, image) VALUES (?, ?, ?, ?, ?, ?)"
INSERT_ANSWER = "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)"
INSERT_CUT = "INSERT INTO cuts (tbl, day, first, last, count, rows_sha256) VALUES (?, ?, ?, ?, ?, '')"
CUT_ROWS = "UPDATE rows SET cut = ? WHERE cut IS NULL AND tbl = ? AND day = ? AND seq <= ?"
UNCUT_ROWS = "SELECT seq, size FROM rows WHERE cut IS NULL AND tbl = ? AND day = ? ORDER BY seq LIMIT ?"
UNCUT_BY_DAY = ("SELECT tbl, day, count(*), sum(size), min(recorded_us) FROM rows WHERE cut IS NULL "
                "GROUP BY tbl, day ORDER BY tbl, day")
ROWS_OF_A_CUT = "SELECT recorded_us, body FROM rows WHERE cut = ? ORDER BY seq"
SHIPPED_ROWS = "SELECT seq, size FROM rows WHERE cut IS NOT NULL AND cut NOT IN (SELECT id FROM cuts) LIMIT 1000"
ALL_CUTS = "SELECT id, tbl, day, first, last, count, rows_sha256 FROM cuts ORDER BY id"
SIZE_OF_IMAGE = "SELECT size FROM images WHERE sha256 = ? AND data IS NOT NULL"
PLACE_OF_IMAGE = "SELECT rowid, size FROM images WHERE sha256 = ? AND data IS NOT NULL"
DELETE_OLD_ANSWERS = ("DELETE FROM answers WHERE prediction_id IN "
                      "(SELECT prediction_id FROM answers WHERE until_us < ? LIMIT 1000)")
WAITING_IMAGES = "SELECT sha256, extension FROM images WHERE data IS NOT NULL LIMIT 64"
IMAGES_OF_A_CUT = ("SELECT DISTINCT sha256, extension FROM images JOIN rows ON image = sha256 "
                   "WHERE data IS NOT NULL AND cut = ?")
DELETE_UNNAMED_IMAGES = ("DELETE FROM images WHERE sha256 IN (SELECT sha256 FROM images WHERE data IS NULL "
                         "AND NOT EXISTS (SELECT 1 FROM rows WHERE image = sha256) LIMIT 256)")
BYTES_HELD = ("SELECT (SELECT coalesce(sum(size), 0) FROM rows) + "
              "(SELECT coalesce(sum(size), 0) FROM images WHERE data IS NOT NULL)")


@dataclass(frozen=True)
class Image:
    """An image to be stored: the hash of its stripped bytes, their extension, and the bytes."""

    sha256: str
    extension: str
    data: bytes


@dataclass(frozen=True)
class Cut:
    """A file to be: its table, day, first and last sequence number, how many rows, and their hash."""

    id: int
    table: str
    day: str
    first: int
    last: int
    count: int
    rows_sha256: str


@dataclass(frozen=True)
class Waiting:
    """What is not yet cut of one table and day: rows, their bytes, and when the oldest was recorded (microseconds)."""

    table: str
    day: str
    rows: int
    bytes: int
    oldest_us: int


@dataclass(frozen=True)
class Depth:
    """How much is not yet in the bucket: rows, bytes (with images), and when the oldest row was recorded."""

    rows: int
    bytes: int
    oldest_us: int | None

    def measure_age(self, now_us: int) -> float:
        """Returns for how many seconds the oldest row has waited; 0 when none waits."""
        return (now_us - self.oldest_us) / 1e6 if self.oldest_us else 0.0
