#include "replication/strong/state_transfer.h"

#include <utility>

#include "base/coding.h"
#include "base/hash.h"
#include "base/planted_bug.h"
#include "replication/shard_folder.h"

namespace kvstore::replication {
namespace {

constexpr std::uint8_t kFormat = 1;
constexpr std::size_t kChunkBytes = 256U << 10U;

enum class ChunkKind : std::uint8_t { kRows = 1, kEnd = 2 };

Status unreadable(const char* what) {
    return {Code::kCorruption, std::string("unreadable ") + what + " of a shard's state"};
}

Bytes encode_rows(const std::vector<storage::SnapshotSource::Row>& rows) {
    Bytes chunk;
    put_fixed(chunk, ChunkKind::kRows);
    for (const storage::SnapshotSource::Row& row : rows) {
        put_fixed(chunk, row.table);
        put_length_prefixed(chunk, row.key);
        put_length_prefixed(chunk, row.value);
    }
    return chunk;
}

Bytes encode_end(std::uint64_t row_count, std::uint64_t digest) {
    Bytes chunk;
    put_fixed(chunk, ChunkKind::kEnd);
    put_fixed(chunk, row_count);
    put_fixed(chunk, digest);
    return chunk;
}

}  // namespace

Bytes encode_transfer_header(const TransferHeader& header) {
    Bytes bytes;
    put_fixed(bytes, kFormat);
    put_varint(bytes, header.from.value());
    put_varint(bytes, header.term.value());
    put_varint(bytes, header.applied.value());
    put_length_prefixed(bytes, encode_shard_file(header.shard));
    return bytes;
}

Result<TransferHeader> decode_transfer_header(ByteView bytes) {
    Decoder decoder(bytes);
    const auto format = decoder.fixed<std::uint8_t>();
    TransferHeader header;
    header.from = NodeId(decoder.varint());
    header.term = Term(decoder.varint());
    header.applied = Index(decoder.varint());
    const ByteView shard = decoder.length_prefixed();
    if (!decoder.at_end() || format != kFormat) {
        return unreadable("header");
    }
    KVSTORE_TRY(header.shard, decode_shard_file(shard));
    return header;
}

Status StateReceiver::take(ByteView chunk) {
    if (chunk.empty() || is_complete_) {
        return unreadable("chunk");
    }
    const ByteView content = chunk.substr(1);
    switch (static_cast<ChunkKind>(chunk.front())) {
        case ChunkKind::kRows: digest_ = hash64(chunk, digest_); return take_rows(content);
        case ChunkKind::kEnd: return take_end(content);
    }
    return unreadable("chunk");
}

Status StateReceiver::take_rows(ByteView rows) {
    Decoder decoder(rows);
    while (decoder.ok() && !decoder.at_end()) {
        const auto table = decoder.fixed<std::uint8_t>();
        const ByteView key = decoder.length_prefixed();
        const ByteView value = decoder.length_prefixed();
        if (!decoder.ok() || table >= storage::kTableCount) {
            return unreadable("row");
        }
        engine_->put(static_cast<storage::Table>(table), key, value);
        ++row_count_;
    }
    return {};
}

Status StateReceiver::take_end(ByteView end) {
    Decoder decoder(end);
    const auto row_count = decoder.fixed<std::uint64_t>();
    const auto digest = decoder.fixed<std::uint64_t>();
    if (!decoder.at_end() || row_count != row_count_ || digest != digest_) {
        return {Code::kCorruption, "a shard's state arrived with rows missing or changed"};
    }
    is_complete_ = true;
    return {};
}

async::Task<Status> send_state(storage::SnapshotSource* source, rpc::OutgoingStream* stream) {
    std::uint64_t row_count = 0;
    std::uint64_t digest = 0;
    for (;;) {
        auto taken = co_await source->next(kChunkBytes);
        KVSTORE_CO_TRY(std::vector<storage::SnapshotSource::Row> rows, std::move(taken));
        if (rows.empty()) {
            break;
        }
        if (planted_bug(PlantedBug::kGroupDropsLastRow)) {
            rows.pop_back();
        }
        Bytes chunk = encode_rows(rows);
        digest = hash64(chunk, digest);
        row_count += rows.size();
        KVSTORE_CO_CHECK_OK(co_await stream->write(std::move(chunk)));
    }
    co_return co_await stream->write(encode_end(row_count, digest));
}

async::Task<Status> receive_state(rpc::IncomingStream* stream,
                                  storage::Engine* engine,
                                  Index applied) {
    StateReceiver receiver(engine);
    for (;;) {
        auto read = co_await stream->read();
        KVSTORE_CO_TRY(const Bytes chunk, std::move(read));
        if (chunk.empty()) {
            break;
        }
        KVSTORE_CO_CHECK_OK(receiver.take(chunk));
        // Nobody uses what is not complete, so each part may be committed as if it were all.
        KVSTORE_CO_CHECK_OK(co_await engine->commit_when_ready(applied));
    }
    if (!receiver.is_complete()) {
        co_return Status(Code::kCorruption, "a shard's state ended before it was complete");
    }
    co_return co_await engine->persist();
}

}  // namespace kvstore::replication
