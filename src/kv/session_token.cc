#include "kv/session_token.h"

#include <algorithm>
#include <optional>

#include "base/bytes.h"
#include "base/coding.h"
#include "base/crc32c.h"
#include "base/parse.h"

namespace kvstore::kv {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kChecksumSize = 4;
constexpr std::size_t kBytesMax = 2 + SessionToken::kMarksMax * 2 * kVarintBytesMax + kChecksumSize;
constexpr std::size_t kTextMax = (kBytesMax + 2) / 3 * 4;

Status malformed(std::string_view why) {
    return {Code::kInvalidArgument,
            "the session token is not one that an answer gave: " + std::string(why)};
}

}  // namespace

Result<SessionToken> SessionToken::parse(std::string_view text) {
    if (text.size() > kTextMax) {
        return malformed("it is too long");
    }
    const std::optional<Bytes> bytes = base64_decode(text);
    if (!bytes || bytes->size() < 2 + kChecksumSize) {
        return malformed("it is no base64url text of a token's length");
    }
    ByteView body = *bytes;
    const ByteView checksum = body.substr(body.size() - kChecksumSize);
    body.remove_suffix(kChecksumSize);
    if (load_fixed<std::uint32_t>(checksum.data()) != crc32c(body)) {
        return malformed("its checksum does not fit");
    }
    Decoder decoder(body);
    if (decoder.fixed<std::uint8_t>() != kFormat) {
        return malformed("its format is not known here");
    }
    const auto forgotten = decoder.fixed<std::uint8_t>();
    SessionToken token;
    token.has_forgotten_ = forgotten != 0;
    bool is_sound = forgotten <= 1;
    while (is_sound && decoder.ok() && !decoder.at_end()) {
        const Mark mark{.shard = ShardId(decoder.varint()), .revision = Revision(decoder.varint())};
        is_sound = token.marks_.size() < kMarksMax && token.find(mark.shard) == token.marks_.end();
        token.marks_.push_back(mark);
    }
    if (!is_sound || !decoder.ok()) {
        return malformed("its marks cannot be read");
    }
    return token;
}

std::string SessionToken::text() const {
    Bytes bytes;
    put_fixed(bytes, kFormat);
    put_fixed(bytes, static_cast<std::uint8_t>(has_forgotten_ ? 1 : 0));
    for (const Mark& mark : marks_) {
        put_varint(bytes, mark.shard.value());
        put_varint(bytes, mark.revision.value());
    }
    put_fixed(bytes, crc32c(bytes));
    std::string text = base64_encode(bytes);
    text.resize(text.find_last_not_of('=') + 1);
    std::ranges::replace(text, '+', '-');
    std::ranges::replace(text, '/', '_');
    return text;
}

void SessionToken::note_other(ShardId shard, Revision revision) {
    const auto found = std::ranges::find(marks_, shard, &Mark::shard);
    if (found != marks_.end()) {
        found->revision = std::max(found->revision, revision);
        std::rotate(found, found + 1, marks_.end());
        return;
    }
    if (marks_.size() == kMarksMax) {
        marks_.erase(marks_.begin());
        has_forgotten_ = true;
    }
    marks_.push_back({.shard = shard, .revision = revision});
}

void SessionToken::merge(const SessionToken& other) {
    const SessionToken before = *this;
    std::erase_if(marks_, [&other](const Mark& mark) { return other.has_forgotten(mark.shard); });
    has_forgotten_ = has_forgotten_ || other.has_forgotten_;
    for (const Mark& mark : other.marks_) {
        if (!before.has_forgotten(mark.shard)) {
            note(mark.shard, mark.revision);
        }
    }
}

Revision SessionToken::seen(ShardId shard) const {
    const auto found = find(shard);
    return found != marks_.end() ? found->revision : Revision();
}

bool SessionToken::has_forgotten(ShardId shard) const {
    return has_forgotten_ && find(shard) == marks_.end();
}

std::vector<SessionToken::Mark>::const_iterator SessionToken::find(ShardId shard) const {
    return std::ranges::find(marks_, shard, &Mark::shard);
}

}  // namespace kvstore::kv
