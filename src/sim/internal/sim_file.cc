#include "sim/internal/sim_file.h"

#include <algorithm>

#include "base/assert.h"
#include "base/hash.h"
#include "sim/internal/process.h"

namespace kvstore::sim::internal {

using env::kSectorSize;

SimFile::~SimFile() {
    KVSTORE_ASSERT(calls_ == 0 || !disk_.process().is_alive());
}

Status SimFile::error(Code code, std::string_view what) const {
    return {code, Effect::kUnknown, path_ + ": " + std::string(what)};
}

async::Task<Result<Bytes>> SimFile::read(std::uint64_t offset, std::size_t size) {
    ++calls_;
    const SimDisk::Fate fate = disk_.begin(DiskCall::kRead, path_);
    co_await disk_.process().delay(fate.latency);
    --calls_;
    if (fate.fails) {
        co_return Status(Code::kIoError, path_ + ": read failed (simulated)");
    }
    const auto source =
        options_.direct ? FileContent::Source::kDevice : FileContent::Source::kCache;
    Bytes content = node_->content.read(offset, size, source);
    if (!content.empty() && disk_.strikes(disk_.faults().corrupt_read, path_)) {
        Random& random = disk_.process().timeline().random();
        const auto at = static_cast<std::size_t>(random.below(content.size()));
        content[at] =
            static_cast<char>(static_cast<unsigned char>(content[at]) ^ (1U << random.below(8)));
    }
    co_return content;
}

SimFile::WriteUnderWay SimFile::begin_write(std::uint64_t offset, ByteView data, bool fails) {
    FileContent& content = node_->content;
    Timeline& timeline = disk_.process().timeline();
    timeline.trace(TraceKind::kDiskData, hash64(data), offset);
    WriteUnderWay write;
    if (fails) {
        write.outcome = error(Code::kIoError, "write failed (simulated)");
        data = data.substr(0, static_cast<std::size_t>(timeline.random().below(data.size() + 1)));
    } else if (!disk_.has_room_for(content.sectors_missing(offset, data.size()))) {
        write.outcome = error(Code::kDiskFull, "no space left");
        while (!disk_.has_room_for(content.sectors_missing(offset, data.size()))) {
            const auto tail =
                static_cast<std::size_t>((offset + data.size() - 1) % kSectorSize + 1);
            data.remove_suffix(std::min(tail, data.size()));
        }
    }
    if (disk_.strikes(disk_.faults().misdirected_write, path_) && content.size() > kSectorSize) {
        offset = timeline.random().below(content.size() / kSectorSize) * kSectorSize;
    }
    const bool is_lost = disk_.strikes(disk_.faults().lost_write, path_);
    write.operation = content.begin_write(
        offset, data, is_lost ? FileContent::WriteFate::kLost : FileContent::WriteFate::kNormal);
    return write;
}

async::Task<Status> SimFile::write_with(std::uint64_t offset,
                                        ByteView data,
                                        Durability durability) {
    if (!options_.writable) {
        co_return Status(Code::kPermissionDenied, path_ + ": was opened for reading only");
    }
    ++calls_;
    const SimDisk::Fate fate = disk_.begin(DiskCall::kWrite, path_);
    WriteUnderWay write;
    if (disk_.process().is_alive()) {
        write = begin_write(offset, data, fate.fails);
    }
    SimDisk::Fate sync_fate;
    if (durability == Durability::kOnReturn) {
        sync_fate = disk_.begin(DiskCall::kSync, path_);
    }
    const std::uint64_t fingerprint = hash64(data);
    co_await disk_.process().delay(fate.latency + sync_fate.latency);
    // The caller had to keep `data` alive and unchanged.
    KVSTORE_ASSERT(hash64(data) == fingerprint);
    --calls_;
    node_->content.end(write.operation);
    if (durability == Durability::kNone || !write.outcome.ok()) {
        co_return write.outcome;
    }
    if (sync_fate.fails) {
        const FileContent::SyncPoint point = node_->content.begin_sync();
        node_->content.fail_sync(point, disk_.process().timeline().random());
        co_return error(Code::kIoError, "sync failed (simulated)");
    }
    node_->content.persist_write(write.operation);
    co_return write.outcome;
}

async::Task<Status> SimFile::write(std::uint64_t offset, ByteView data) {
    return write_with(offset, data, Durability::kNone);
}

async::Task<Status> SimFile::write_durable(std::uint64_t offset, ByteView data) {
    return write_with(offset, data, Durability::kOnReturn);
}

async::Task<Status> SimFile::sync() {
    ++calls_;
    const SimDisk::Fate fate = disk_.begin(DiskCall::kSync, path_);
    FileContent::SyncPoint point;
    if (disk_.process().is_alive()) {
        point = node_->content.begin_sync();
    }
    co_await disk_.process().delay(fate.latency);
    --calls_;
    if (fate.fails) {
        node_->content.fail_sync(point, disk_.process().timeline().random());
        co_return error(Code::kIoError, "sync failed (simulated)");
    }
    node_->content.persist(point);
    co_return Status();
}

async::Task<Status> SimFile::truncate(std::uint64_t size) {
    if (!options_.writable) {
        co_return Status(Code::kPermissionDenied, path_ + ": was opened for reading only");
    }
    ++calls_;
    const SimDisk::Fate fate = disk_.begin(DiskCall::kTruncate, path_);
    FileContent::Operation operation = 0;
    if (!fate.fails && disk_.process().is_alive()) {
        operation = node_->content.begin_truncate(size);
    }
    co_await disk_.process().delay(fate.latency);
    --calls_;
    node_->content.end(operation);
    if (fate.fails) {
        co_return error(Code::kIoError, "truncate failed (simulated)");
    }
    co_return Status();
}

async::Task<Result<std::uint64_t>> SimFile::size() {
    ++calls_;
    const SimDisk::Fate fate = disk_.begin(DiskCall::kLook, path_);
    co_await disk_.process().delay(fate.latency);
    --calls_;
    if (fate.fails) {
        co_return Status(Code::kIoError, path_ + ": size failed (simulated)");
    }
    co_return node_->content.size();
}

}  // namespace kvstore::sim::internal
