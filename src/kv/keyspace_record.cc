#include "kv/keyspace_record.h"

#include <string>

#include "base/coding.h"
#include "cluster/placement.h"

namespace kvstore::kv {
namespace {

constexpr std::uint64_t kFormat = 1;
constexpr std::size_t kNameBytesMax = 128;

bool is_name_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-' || c == '/';
}

}  // namespace

Bytes encode_keyspace(const KeyspaceInfo& info) {
    Bytes stored;
    put_varint(stored, kFormat);
    put_varint(stored, info.shard.value());
    put_varint(stored, static_cast<std::uint64_t>(info.options.replication));
    put_varint(stored, info.options.replication_factor);
    put_varint(stored, static_cast<std::uint64_t>(info.options.engine));
    const auto history =
        std::chrono::duration_cast<std::chrono::milliseconds>(info.options.history);
    put_varint(stored, static_cast<std::uint64_t>(history.count()));
    return stored;
}

Result<KeyspaceInfo> decode_keyspace(std::string_view name, ByteView stored) {
    Decoder decoder(stored);
    const std::uint64_t format = decoder.varint();
    const std::uint64_t shard = decoder.varint();
    const std::uint64_t replication = decoder.varint();
    const std::uint64_t factor = decoder.varint();
    const std::uint64_t engine = decoder.varint();
    const std::uint64_t history_ms = decoder.varint();
    const bool is_known = replication >= static_cast<std::uint64_t>(Replication::kStrong) &&
                          replication <= static_cast<std::uint64_t>(Replication::kQuorum) &&
                          engine >= static_cast<std::uint64_t>(replication::EngineKind::kLsm) &&
                          engine <= static_cast<std::uint64_t>(replication::EngineKind::kMemory);
    const bool is_possible = factor <= kReplicationFactorMax &&
                             history_ms <= static_cast<std::uint64_t>(kHistoryMax.count());
    if (!decoder.ok() || format < kFormat || !is_known || !is_possible) {
        return Status(Code::kCorruption,
                      "unreadable catalogue record of keyspace '" + std::string(name) + "'");
    }
    KeyspaceInfo info;
    info.name = name;
    info.shard = ShardId(shard);
    info.options.replication = static_cast<Replication>(replication);
    info.options.replication_factor = static_cast<std::uint32_t>(factor);
    info.options.engine = static_cast<replication::EngineKind>(engine);
    info.options.history = std::chrono::milliseconds(history_ms);
    return info;
}

std::uint32_t replication_factor_of(std::string_view keyspace, const cluster::SystemRows& rows) {
    if (keyspace == "system") {
        return cluster::kSystemReplicationFactor;
    }
    const std::optional<Bytes> stored = rows.find(Bytes(kKeyspacePrefix) + Bytes(keyspace));
    if (!stored.has_value()) {
        return 1;
    }
    const Result<KeyspaceInfo> info = decode_keyspace(keyspace, *stored);
    return info.ok() ? info->options.replication_factor : 1;
}

Status check_keyspace_name(std::string_view name) {
    bool ok = !name.empty() && name.size() <= kNameBytesMax && name != "system" &&
              !name.starts_with('/') && !name.ends_with('/') &&
              name.find("//") == std::string_view::npos;
    for (const char c : name) {
        ok = ok && is_name_character(c);
    }
    if (!ok) {
        return {Code::kInvalidArgument,
                "'" + std::string(name.substr(0, kNameBytesMax)) +
                    "' cannot name a keyspace: write 1 to 128 of a-z A-Z 0-9 . _ - with '/' "
                    "between parts, other than 'system'"};
    }
    return {};
}

}  // namespace kvstore::kv
