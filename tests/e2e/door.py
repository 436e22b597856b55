#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""door: callers that want more than their share of a running daemon.

Connections without end, answers that are not read, requests larger than they are worth. Nobody else
notices, and memory has its bounds. Usage: door.py FOLDER-OF-PROGRAMS [others]

"others" are users to become, as only root can.
"""

import os
import struct
import sys

from flood import HEALTH, LIMIT, MIB, Daemon, Honest, Peer, field, is_built_with, issue

TOTAL, PER_UID = 40, 16
UNREAD = 8 * MIB
QUEUE = 8 * MIB
LISTED, STRANGERS = (20001, 20002, 20003, 20004), (30001, 30002)
SETTINGS = {
    "ipc_mode": '"0660"',
    "ipc_uids": f"[ {', '.join(map(str, LISTED))} ]",
    "connections": TOTAL,
    "uid_connections": PER_UID,
    "unread_octets": UNREAD,
    "queue_octets": QUEUE,
    "caller_octets": QUEUE // 2,
}


def varint_at(octets, at):
    number, shift = 0, 0
    while True:
        number |= (octets[at] & 0x7F) << shift
        if octets[at] < 0x80:
            return number
        at, shift = at + 1, shift + 7


def counter(peer, name):
    """One of the daemon's statistics."""
    answer = peer.ask(b"\x08\x01" + field(14, b""))
    at = answer.find(field(1, name))
    peer.daemon.expect(at >= 0, f"no counter {name}")
    at += len(field(1, name))
    return varint_at(answer, at + 1) if answer[at : at + 1] == b"\x10" else 0


def get(serial, count):
    return b"\x08\x01" + field(11, field(1, serial) * count)


def issue_one(peer):
    """Its serial number: field 2 of the result, 18 octets."""
    answer = peer.ask(issue(1))
    at = answer.find(b"\x12\x12")
    return answer[at + 2 : at + 20]


def slack():
    """What memory may vary by, for reasons of its own."""
    return (512 if is_built_with(b"asan", b"tsan") else 32) * MIB


# ---- connections


class As:
    """Connections made meanwhile are this user's."""

    def __init__(self, uid):
        self.uid = uid

    def __enter__(self):
        if self.uid is not None:
            os.seteuid(self.uid)

    def __exit__(self, *_):
        if self.uid is not None:
            os.seteuid(0)


def knock(daemon, uid, count, is_ipc=True):
    """So many connections; those that were let in."""
    peers = []
    for _ in range(count):
        try:
            with As(uid):
                peer = Peer(daemon, is_ipc)
            peer.hello()
            peer.request(HEALTH)
            if peer.receive() is not None:
                peers.append(peer)
        except ConnectionError:
            pass
    return peers


def leave(peers, honest):
    """Until only the honest ones are there."""
    for peer in peers:
        peer.close()
    asker = honest.peers[0]
    asker.daemon.wait_for(lambda: counter(asker, "connections") == 2, "connections stay")


def check_own(daemon, honest):
    """One uid has its number, however often it tries."""
    peers = knock(daemon, None, 3 * PER_UID)
    daemon.expect(len(peers) == PER_UID - 1, f"{len(peers)} connections of one uid")
    honest.check()
    refused = counter(honest.peers[0], "connections.refused")
    daemon.expect(refused == 2 * PER_UID + 1, f"{refused} refusals counted")
    daemon.expect(counter(honest.peers[0], "connections") == PER_UID + 1, "connections counted")
    leave(peers, honest)
    peers = knock(daemon, None, PER_UID - 1)
    daemon.expect(len(peers) == PER_UID - 1, "places are not free again")
    leave(peers, honest)


def check_loopback(daemon, honest):
    """Who comes without a uid leaves half to those who have one."""
    peers = knock(daemon, None, TOTAL, is_ipc=False)
    daemon.expect(len(peers) == TOTAL // 2 - 1, f"{len(peers)} connections over tcp")
    honest.check()
    leave(peers, honest)


def check_others(daemon, honest):
    """Other users together have what there is; strangers as much as one; root comes in all the
    same."""
    strangers = [peer for uid in STRANGERS for peer in knock(daemon, uid, PER_UID)]
    daemon.expect(len(strangers) == PER_UID, f"{len(strangers)} connections of strangers")
    daemon.expect(b"DENIED" in strangers[0].ask(HEALTH), "a stranger was let in")
    leave(strangers, honest)
    listed = [peer for uid in LISTED for peer in knock(daemon, uid, PER_UID)]
    daemon.expect(len(listed) == TOTAL - 1, f"{len(listed)} connections of all")  # one is over tcp
    daemon.expect(len(knock(daemon, None, 1, is_ipc=False)) == 0, "too many connections")
    root = knock(daemon, None, 1)
    daemon.expect(len(root) == 1, "root was not let in")
    honest.check()
    leave(listed + root, honest)


# ---- answers


def check_patient(daemon, honest, serial):
    """Asks for a lot before it reads the first answer, and then gets them all."""
    peer, count = Peer(daemon, True).hello(), 64
    for number in range(count):
        peer.request(get(serial, 50), number)
    numbers = {struct.unpack(">I", peer.receive()[:4])[0] & 0x7FFFFFFF for _ in range(count)}
    daemon.expect(numbers == set(range(count)), "answers are lost")
    leave([peer], honest)


def ask_and_not_read(daemon, serial, is_ipc):
    """More than ten times what it may leave unread."""
    peer, asked = Peer(daemon, is_ipc).hello(), 100
    request = peer.frame(struct.pack(">I", 0x80000001) + get(serial, 1024))
    for _ in range(asked):
        daemon.expect(peer.send(request), "a connection was closed")
    return peer, asked


def check_deaf(daemon, honest, serial):
    size = len(honest.peers[0].ask(get(serial, 1024)))
    before, peers, asked = daemon.anonymous(), [], 0
    for i in range(8):
        peer, count = ask_and_not_read(daemon, serial, i % 2 == 0)
        peers.append(peer)
        asked += count * size
        honest.check()
    grown = daemon.anonymous() - before
    dropped = counter(honest.peers[0], "answers.dropped")
    print(f"door: {asked / MIB:.0f} MiB of answers not read: {grown / MIB:.1f} MiB, {dropped} lost")
    daemon.expect(asked > 16 * UNREAD, "too little was asked for to tell")
    daemon.expect(dropped > 0, "all answers were kept")
    # Two owners (uid, loopback), each with answers that wait, and one of each connection in nng.
    daemon.expect(grown < 2 * UNREAD + 8 * size + slack(), "memory for answers not read")
    leave(peers, honest)


# ---- requests


def check_large(daemon, honest):
    """Messages of a MiB, from many at once."""
    csr = field(4, b"\x30" * 900)
    item = field(1, field(1, "door-large-0000000001") + field(3, "tls-server") + csr)
    message = b"\x08\x01" + field(10, item * 1024)
    daemon.expect(len(message) < LIMIT, "the message is too large")
    before = daemon.anonymous()
    peers = [Peer(daemon, i % 2 == 0).hello() for i in range(2 * (PER_UID - 2))]
    answers = []
    for number in range(8):
        for peer in peers:
            peer.request(message, number)
        honest.check()
        answers += [peer.receive() for peer in peers]
    daemon.expect(None not in answers, "a connection was closed")
    busy = sum(b"BUSY" in answer[:64] for answer in answers)
    grown = daemon.anonymous() - before
    print(f"door: {len(answers)} messages of a MiB, {busy} BUSY: {grown / MIB:.1f} MiB")
    # Beside the queue, two are being decoded, and nng has one of each connection.
    daemon.expect(grown < QUEUE + 2 * 9 * MIB + len(peers) * MIB + slack(), "memory for requests")
    leave(peers, honest)


# ---- going away


def check_abrupt(daemon, honest, serial):
    """
    Callers that ask and hang up, many more than there may be. nng 1.5.2 does not get over some of
    those (rpc/census.h): they count no longer.
    """
    for i in range(12 * PER_UID):
        peer = Peer(daemon, i % 4 != 0).hello()
        request = peer.frame(struct.pack(">I", 0x80000001) + get(serial, 200))
        peer.send(request * 10)
        peer.close()
    for is_ipc in (True, False):
        daemon.wait_for(lambda: knock(daemon, None, 1, is_ipc), "nobody is let in any more")
    honest.check()
    stuck = counter(honest.peers[0], "connections") - 3
    print(f"door: {12 * PER_UID} hung up, {stuck} of them stay in nng")


def open_daemon():
    daemon = Daemon(sys.argv[1], SETTINGS)
    os.chmod(daemon.dir, 0o711)
    os.chmod(os.path.dirname(daemon.path), 0o711)
    honest = Honest(daemon)
    honest.check()
    return daemon, honest


def main_others():
    daemon, honest = open_daemon()
    check_others(daemon, honest)
    honest.close()
    daemon.stop()


def main():
    daemon, honest = open_daemon()
    check_own(daemon, honest)
    check_loopback(daemon, honest)
    serial = issue_one(honest.peers[0])
    check_patient(daemon, honest, serial)
    check_deaf(daemon, honest, serial)
    honest.check()
    check_large(daemon, honest)
    honest.check()
    honest.close()
    daemon.stop()

    daemon, honest = open_daemon()
    check_abrupt(daemon, honest, issue_one(honest.peers[0]))
    honest.close()
    # It ends in time all the same, but not tidily, as a sanitizer would have it.
    if is_built_with(b"asan", b"tsan"):
        daemon.remove()
    else:
        daemon.stop()


if __name__ == "__main__":
    main_others() if sys.argv[2:] == ["others"] else main()
