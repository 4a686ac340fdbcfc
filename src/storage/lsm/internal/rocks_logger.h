// Takes RocksDB's own log into ours.
#pragma once

#include <cstdarg>
#include <string>

#include <rocksdb/env.h>

namespace kvstore::storage::lsm {

// Warnings and errors only. There is no log file on purpose: where RocksDB is built with its
// assertions, as Debian's is, writing one on a full disk stops the process.
//
// Runs on   Any thread.
class RocksLogger final : public rocksdb::Logger {
public:
    explicit RocksLogger(std::string directory)
        : rocksdb::Logger(rocksdb::InfoLogLevel::WARN_LEVEL), directory_(std::move(directory)) {}

    using rocksdb::Logger::Logv;
    void Logv(const char* format, std::va_list arguments) override;
    void Logv(rocksdb::InfoLogLevel level, const char* format, std::va_list arguments) override;
    // The dump of all options at open.
    void LogHeader(const char* /*format*/, std::va_list /*arguments*/) override {}

private:
    std::string directory_;
};

}  // namespace kvstore::storage::lsm
