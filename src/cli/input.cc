#include "cli/input.h"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "mvcc/command.h"

namespace kvstore::cli {

Result<Bytes> read_all_input() {
    Bytes content;
    std::array<char, 1U << 16U> buffer;
    std::size_t count = 0;
    while ((count = std::fread(buffer.data(), 1, buffer.size(), stdin)) > 0) {
        content.append(buffer.data(), count);
        if (content.size() > mvcc::kValueBytesMax) {
            return Status(Code::kTooLarge, "what comes on stdin is larger than any value may be");
        }
    }
    if (std::ferror(stdin) != 0) {
        return Status(Code::kIoError, "cannot read stdin");
    }
    return content;
}

Result<LineReader> LineReader::open(const std::string& path) {
    if (path == "-") {
        return LineReader(stdin, false);
    }
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (file == nullptr) {
        return Status(Code::kNotFound, "cannot read " + path + ": " + std::strerror(errno));
    }
    LineReader reader(file, true);
    if (std::fseek(file, 0, SEEK_END) == 0) {
        const auto size = std::ftell(file);
        reader.bytes_total_ = size > 0 ? static_cast<std::size_t>(size) : 0;
        std::rewind(file);
    }
    return reader;
}

LineReader::LineReader(LineReader&& other) noexcept
    : file_(std::exchange(other.file_, nullptr)),
      is_ours_(std::exchange(other.is_ours_, false)),
      line_(std::exchange(other.line_, nullptr)),
      capacity_(std::exchange(other.capacity_, 0)),
      line_number_(other.line_number_),
      bytes_read_(other.bytes_read_),
      bytes_total_(other.bytes_total_) {}

LineReader::~LineReader() {
    std::free(line_);  // NOLINT(cppcoreguidelines-no-malloc): getline() allocated it
    if (is_ours_) {
        (void)std::fclose(file_);
    }
}

Result<std::optional<std::string>> LineReader::next() {
    const auto size = ::getline(&line_, &capacity_, file_);
    if (size < 0) {
        if (std::ferror(file_) != 0) {
            return Status(Code::kIoError,
                          "reading failed after line " + std::to_string(line_number_));
        }
        return std::optional<std::string>();
    }
    ++line_number_;
    std::string line(line_, static_cast<std::size_t>(size));
    bytes_read_ += line.size();
    if (line.ends_with('\n')) {
        line.pop_back();
    }
    return std::optional<std::string>(std::move(line));
}

}  // namespace kvstore::cli
