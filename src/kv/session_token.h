// What a client has seen: for each shard that it has touched, the newest revision that it was shown
// or has written. Sent back with the next request, to whichever node, it makes reads there at least
// that fresh: monotonic reads, and a client reads its own writes.
//
// As text, in base64url without padding:
//
//     format       byte    1
//     forgotten    byte    1: marks were dropped, else 0
//     marks        varint shard, varint revision; up to kMarksMax, the longest untouched first
//     checksum     4 bytes, little-endian: CRC-32C of all before it
//
// The text is opaque to clients, and no secret: who forges one gets fresher reads, or an error.
//
// More than kMarksMax shards do not fit. The mark that was touched least recently is dropped, and
// the token says so: of a shard that it does not name, nothing is known then, and kv makes sure of
// the newest state instead (a read round). So the promise holds, and costs more.
//
// Changing this format: another format byte, and a reader for both.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/status.h"

namespace kvstore::kv {

// Runs on     One core.
// Invariants  at most kMarksMax marks, of different shards; a shard's revision never falls
class SessionToken {
public:
    static constexpr std::size_t kMarksMax = 32;

    // Errors: kInvalidArgument: not what text() gave.
    static Result<SessionToken> parse(std::string_view text);
    // For headers and URLs as it is.
    [[nodiscard]] std::string text() const;

    // The session has seen `revision` of `shard`, or written it.
    void note(ShardId shard, Revision revision) {
        if (!marks_.empty() && marks_.back().shard == shard) {
            marks_.back().revision = std::max(marks_.back().revision, revision);
            return;
        }
        note_other(shard, revision);
    }
    // From now on both what this has seen and what `other` has. Of a shard that either has
    // forgotten, nothing is known then.
    void merge(const SessionToken& other);

    // Of a shard that was not touched: 0.
    [[nodiscard]] Revision seen(ShardId shard) const;
    // Whether the session may have seen more of `shard` than the token tells.
    [[nodiscard]] bool has_forgotten(ShardId shard) const;
    [[nodiscard]] bool empty() const { return marks_.empty() && !has_forgotten_; }

    friend bool operator==(const SessionToken&, const SessionToken&) = default;

private:
    struct Mark {
        ShardId shard;
        Revision revision;

        friend bool operator==(const Mark&, const Mark&) = default;
    };

    void note_other(ShardId shard, Revision revision);
    [[nodiscard]] std::vector<Mark>::const_iterator find(ShardId shard) const;

    std::vector<Mark> marks_;  // the last is the one that was touched last
    bool has_forgotten_ = false;
};

}  // namespace kvstore::kv
