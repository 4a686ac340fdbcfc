#include "kv/keyspace_record.h"

#include <string>

#include "base/coding.h"

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
    KeyspaceInfo info;
    info.name = name;
    info.shard = ShardId(decoder.varint());
    info.options.replication = static_cast<Replication>(decoder.varint());
    info.options.replication_factor = static_cast<std::uint32_t>(decoder.varint());
    const std::uint64_t engine = decoder.varint();
    info.options.engine = static_cast<replication::EngineKind>(engine);
    info.options.history = std::chrono::milliseconds(decoder.varint());
    const bool engine_known =
        engine == static_cast<std::uint64_t>(replication::EngineKind::kLsm) ||
        engine == static_cast<std::uint64_t>(replication::EngineKind::kMemory);
    if (!decoder.ok() || format < kFormat || !engine_known) {
        return Status(Code::kCorruption,
                      "unreadable catalogue record of keyspace '" + std::string(name) + "'");
    }
    return info;
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
