// An open file of the simulated disk.
#pragma once

#include <cstdint>
#include <string>

#include "env/disk.h"
#include "sim/internal/sim_disk.h"

namespace kvstore::sim::internal {

class SimFile final : public env::File {
public:
    SimFile(SimDisk& disk, NodeRef node, std::string path, env::OpenOptions options)
        : disk_(disk), node_(std::move(node)), path_(std::move(path)), options_(options) {}
    SimFile(const SimFile&) = delete;
    SimFile& operator=(const SimFile&) = delete;
    // Asserts that no call is under way, but on a dead host.
    ~SimFile() override;

    async::Task<Result<Bytes>> read(std::uint64_t offset, std::size_t size) override;
    async::Task<Status> write(std::uint64_t offset, ByteView data) override;
    async::Task<Status> write_durable(std::uint64_t offset, ByteView data) override;
    async::Task<Status> sync() override;
    async::Task<Status> truncate(std::uint64_t size) override;
    async::Task<Result<std::uint64_t>> size() override;

private:
    enum class Durability : std::uint8_t { kNone, kOnReturn };

    // A write that has begun: what reached the file, and what its caller will be told.
    struct WriteUnderWay {
        FileContent::Operation operation = 0;
        Status outcome;
    };

    async::Task<Status> write_with(std::uint64_t offset, ByteView data, Durability durability);
    WriteUnderWay begin_write(std::uint64_t offset, ByteView data, bool fails);
    [[nodiscard]] Status error(Code code, std::string_view what) const;

    SimDisk& disk_;
    NodeRef node_;
    std::string path_;
    env::OpenOptions options_;
    int calls_ = 0;
};

}  // namespace kvstore::sim::internal
