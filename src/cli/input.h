// What comes on stdin or from a file.
#pragma once

#include <cstddef>
#include <cstdio>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/status.h"

namespace kvstore::cli {

// Errors: kIoError; kTooLarge above what one value may hold.
Result<Bytes> read_all_input();

// Lines of a file, of any length up to a bound, each without its newline.
//
// Runs on   One thread; blocks.
class LineReader {
public:
    // "-" is stdin. Errors: kNotFound with the name.
    static Result<LineReader> open(const std::string& path);

    LineReader(LineReader&& other) noexcept;
    LineReader& operator=(LineReader&&) = delete;
    LineReader(const LineReader&) = delete;
    LineReader& operator=(const LineReader&) = delete;
    ~LineReader();

    // Nullopt at the end. Errors: kIoError.
    Result<std::optional<std::string>> next();

    [[nodiscard]] std::size_t line_number() const { return line_number_; }
    [[nodiscard]] std::size_t bytes_read() const { return bytes_read_; }
    // Of the file; 0 where that is unknown.
    [[nodiscard]] std::size_t bytes_total() const { return bytes_total_; }

private:
    explicit LineReader(std::FILE* file, bool is_ours) : file_(file), is_ours_(is_ours) {}

    std::FILE* file_;
    bool is_ours_;
    char* line_ = nullptr;
    std::size_t capacity_ = 0;
    std::size_t line_number_ = 0;
    std::size_t bytes_read_ = 0;
    std::size_t bytes_total_ = 0;
};

}  // namespace kvstore::cli
