"""The live desk's adapter: what was committed becomes a hint in Redis, and hints become pushes to open pages.

A hint says only "these sagas changed, to these versions". It may be lost: pages also compare versions with
the database every few seconds, and what they show is always rendered from there.
"""

from sagas.live.feed import Feed
from sagas.live.publish import publish
from sagas.live.viewer import Viewer

__all__ = ["Feed", "Viewer", "publish"]
