#include "frontend/resp/reply_writer.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>

namespace kvstore::resp {
namespace {

constexpr std::size_t kNumberBytesMax = 24;

std::string_view code_of(Code code) {
    switch (code) {
        case Code::kOverloaded: return "BUSY ";
        case Code::kMemoryFull: return "OOM ";
        case Code::kDiskFull:
        case Code::kIoError:
        case Code::kCorruption: return "MISCONF ";
        case Code::kWrongType: return "WRONGTYPE ";
        case Code::kUnauthenticated: return "NOAUTH ";
        case Code::kPermissionDenied: return "NOPERM ";
        default: return "ERR ";
    }
}

}  // namespace

std::string error_text(const Status& why) {
    std::string text(code_of(why.code()));
    text += why.message();
    if (why.effect() == Effect::kUnknown) {
        text += " (outcome unknown: the write may yet take effect)";
    }
    return text;
}

void ReplyWriter::header(char type, std::uint64_t number) {
    std::array<char, kNumberBytesMax> text;
    text[0] = type;
    char* end = std::to_chars(text.data() + 1, text.data() + text.size() - 2, number).ptr;
    *end++ = '\r';
    *end++ = '\n';
    to_->append(text.data(), static_cast<std::size_t>(end - text.data()));
}

void ReplyWriter::simple(std::string_view text) {
    to_->push_back('+');
    to_->append(text);
    to_->append("\r\n");
}

void ReplyWriter::error(std::string_view text) {
    if (errors_ != nullptr) {
        errors_->count_error(text);
    }
    to_->push_back('-');
    for (const char c : text) {
        to_->push_back(c == '\r' || c == '\n' ? ' ' : c);
    }
    to_->append("\r\n");
}

void ReplyWriter::status(const Status& why) {
    error(error_text(why));
}

void ReplyWriter::bulk(ByteView bytes) {
    header('$', bytes.size());
    to_->append(bytes);
    to_->append("\r\n");
}

void ReplyWriter::null() {
    to_->append(protocol_ == Protocol::kResp2 ? "$-1\r\n" : "_\r\n");
}

void ReplyWriter::null_array() {
    to_->append(protocol_ == Protocol::kResp2 ? "*-1\r\n" : "_\r\n");
}

void ReplyWriter::integer(std::int64_t number) {
    if (number >= 0) {
        header(':', static_cast<std::uint64_t>(number));
        return;
    }
    std::array<char, kNumberBytesMax> text;
    const char* end = std::to_chars(text.data(), text.data() + text.size(), number).ptr;
    to_->push_back(':');
    to_->append(text.data(), static_cast<std::size_t>(end - text.data()));
    to_->append("\r\n");
}

void ReplyWriter::map(std::size_t count) {
    if (protocol_ == Protocol::kResp2) {
        header('*', count * 2);
    } else {
        header('%', count);
    }
}

void ReplyWriter::set(std::size_t count) {
    header(protocol_ == Protocol::kResp2 ? '*' : '~', count);
}

void ReplyWriter::boolean(bool value) {
    if (protocol_ == Protocol::kResp2) {
        to_->append(value ? ":1\r\n" : ":0\r\n");
    } else {
        to_->append(value ? "#t\r\n" : "#f\r\n");
    }
}

void ReplyWriter::real(double value) {
    std::array<char, 48> text;
    int size = 0;
    if (std::isinf(value)) {
        size = std::snprintf(text.data(), text.size(), value > 0 ? "inf" : "-inf");
    } else {
        size = std::snprintf(text.data(), text.size(), "%.17g", value);
    }
    const std::string_view shown(text.data(), static_cast<std::size_t>(size));
    if (protocol_ == Protocol::kResp2) {
        bulk(shown);
        return;
    }
    to_->push_back(',');
    to_->append(shown);
    to_->append("\r\n");
}

void ReplyWriter::verbatim(std::string_view text) {
    if (protocol_ == Protocol::kResp2) {
        bulk(text);
        return;
    }
    header('=', text.size() + 4);
    to_->append("txt:");
    to_->append(text);
    to_->append("\r\n");
}

}  // namespace kvstore::resp
