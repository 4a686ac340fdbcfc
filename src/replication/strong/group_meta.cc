#include "replication/strong/group_meta.h"

#include <utility>

#include "base/coding.h"
#include "wire/raft_messages.h"

namespace kvstore::replication {
namespace {

constexpr std::uint8_t kFormat = 1;

Status unreadable() {
    return {Code::kCorruption, "unreadable record of the group"};
}

}  // namespace

Bytes encode_group_meta(const GroupMeta& meta) {
    Bytes bytes;
    put_fixed(bytes, kFormat);
    put_varint(bytes, meta.term.value());
    wire::encode_conf_state(meta.conf, bytes);
    return bytes;
}

Result<GroupMeta> decode_group_meta(ByteView bytes) {
    Decoder decoder(bytes);
    const auto format = decoder.fixed<std::uint8_t>();
    GroupMeta meta;
    meta.term = Term(decoder.varint());
    if (!decoder.ok() || format != kFormat) {
        return unreadable();
    }
    auto conf = wire::decode_conf_state(decoder.rest());
    if (!conf.ok()) {
        return unreadable();
    }
    meta.conf = *std::move(conf);
    return meta;
}

async::Task<Result<std::optional<GroupMeta>>> load_group_meta(storage::Engine* engine) {
    auto loaded = co_await engine->load(storage::Table::kMeta, Bytes(kGroupMetaKey));
    KVSTORE_CO_TRY(const std::optional<Bytes> bytes, std::move(loaded));
    if (!bytes) {
        co_return std::optional<GroupMeta>();
    }
    KVSTORE_CO_TRY(GroupMeta meta, decode_group_meta(*bytes));
    co_return std::optional<GroupMeta>(std::move(meta));
}

}  // namespace kvstore::replication
