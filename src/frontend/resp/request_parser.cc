#include "frontend/resp/request_parser.h"

#include <optional>
#include <utility>

#include "base/parse.h"

namespace kvstore::resp {
namespace {

// Room for more arguments is given back after the request that needed it.
constexpr std::size_t kKeptPlacesMax = 4096;

constexpr bool is_blank(char c) {
    return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\v' || c == '\f';
}

constexpr int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

constexpr char escaped(char c) {
    switch (c) {
        case 'n': return '\n';
        case 'r': return '\r';
        case 't': return '\t';
        case 'b': return '\b';
        case 'a': return '\a';
        default: return c;
    }
}

constexpr std::size_t kNoNumber = SIZE_MAX;

// Reads "<type>d\r\n" to "<type>ddd\r\n" and moves `at` behind it. Returns: kNoNumber when
// something else stands there, or less than that.
std::size_t take_short_number(ByteView input, std::size_t& at) {
    constexpr std::size_t kLongest = 6;
    if (input.size() < at + kLongest) {
        return kNoNumber;
    }
    const char* const digits = input.data() + at + 1;
    std::size_t number = 0;
    for (std::size_t i = 0; i < 4; ++i) {
        const auto digit = static_cast<unsigned char>(digits[i] - '0');
        if (digit > 9) {
            const bool is_plain = digits[i] == '\r' && i > 0 && (i == 1 || digits[0] != '0');
            at += is_plain ? i + 3 : 0;
            return is_plain ? number : kNoNumber;
        }
        number = (number * 10) + digit;
    }
    return kNoNumber;
}

// One word of a line, from its first byte to behind its last.
class WordReader {
public:
    WordReader(ByteView line, std::size_t at, Bytes& to) : line_(line), at_(at), to_(to) {}

    // Returns: where the word ends; nullopt when its quotes are wrong.
    std::optional<std::size_t> read() {
        while (at_ < line_.size() && !is_blank(line_[at_])) {
            const char c = line_[at_];
            if (c != '"' && c != '\'') {
                to_.push_back(c);
                ++at_;
                continue;
            }
            ++at_;
            const bool closed = c == '"' ? read_double_quoted() : read_single_quoted();
            if (!closed || (at_ < line_.size() && !is_blank(line_[at_]))) {
                return std::nullopt;
            }
            break;
        }
        return at_;
    }

private:
    bool read_double_quoted() {
        while (at_ < line_.size()) {
            const char c = line_[at_++];
            if (c == '"') {
                return true;
            }
            if (c != '\\' || at_ == line_.size()) {
                to_.push_back(c);
                continue;
            }
            if (line_[at_] == 'x' && at_ + 2 < line_.size() && hex_digit(line_[at_ + 1]) >= 0 &&
                hex_digit(line_[at_ + 2]) >= 0) {
                to_.push_back(static_cast<char>((hex_digit(line_[at_ + 1]) * 16) +
                                                hex_digit(line_[at_ + 2])));
                at_ += 3;
                continue;
            }
            to_.push_back(escaped(line_[at_++]));
        }
        return false;
    }

    bool read_single_quoted() {
        while (at_ < line_.size()) {
            const char c = line_[at_++];
            if (c == '\'') {
                return true;
            }
            if (c == '\\' && at_ < line_.size() && line_[at_] == '\'') {
                to_.push_back('\'');
                ++at_;
                continue;
            }
            to_.push_back(c);
        }
        return false;
    }

    ByteView line_;
    std::size_t at_;
    Bytes& to_;
};

}  // namespace

RequestParser::Outcome RequestParser::parse(ByteView input) {
    if (!error_.empty()) {
        return Outcome::kError;
    }
    wanted_ = 0;
    if (input.empty()) {
        return Outcome::kIncomplete;
    }
    if (input.front() != '*') {
        return parse_inline(input);
    }
    return position_ == 0 && parse_whole_array(input) ? Outcome::kRequest : parse_array(input);
}

std::size_t RequestParser::advance() {
    const std::size_t size = position_;
    rewind();
    return size;
}

void RequestParser::rewind() {
    position_ = 0;
    searched_ = 0;
    left_ = 0;
    has_count_ = false;
    has_size_ = false;
    wanted_ = 0;
    error_.clear();
    places_.clear();
    views_.clear();
    if (places_.capacity() > kKeptPlacesMax) {
        places_ = {};
        views_ = {};
    }
}

// What nearly every request is: all there, and numbers of up to three digits. Takes nothing and
// returns false otherwise.
bool RequestParser::parse_whole_array(ByteView input) {
    std::size_t at = 0;
    const std::size_t count = take_short_number(input, at);
    if (count == 0 || count > limits_.arguments_max) {
        return false;
    }
    views_.clear();
    for (std::size_t i = 0; i < count; ++i) {
        if (at >= input.size() || input[at] != '$') {
            return false;
        }
        const std::size_t size = take_short_number(input, at);
        if (size > limits_.argument_bytes_max || input.size() < at + size + 2) {
            return false;
        }
        views_.push_back(input.substr(at, size));
        at += size + 2;
    }
    position_ = at;
    return true;
}

RequestParser::Outcome RequestParser::parse_array(ByteView input) {
    if (!has_count_) {
        std::int64_t count = 0;
        const Outcome outcome = take_number(input, "too big mbulk count string", &count);
        if (outcome != Outcome::kRequest) {
            return outcome;
        }
        if (count > static_cast<std::int64_t>(limits_.arguments_max)) {
            return fail("invalid multibulk length");
        }
        has_count_ = true;
        left_ = count > 0 ? static_cast<std::size_t>(count) : 0;
    }
    while (left_ > 0) {
        const Outcome outcome = take_argument(input);
        if (outcome != Outcome::kRequest) {
            return outcome;
        }
    }
    return complete(input);
}

RequestParser::Outcome RequestParser::take_argument(ByteView input) {
    if (!has_size_) {
        if (position_ >= input.size()) {
            return Outcome::kIncomplete;
        }
        std::int64_t size = 0;
        const char type = input[position_];
        if (type != '$' && input.find('\r', position_) != ByteView::npos) {
            return fail(std::string("expected '$', got '") + type + "'");
        }
        const Outcome outcome = take_number(input, "too big bulk count string", &size);
        if (outcome != Outcome::kRequest) {
            return outcome;
        }
        if (size < 0 || static_cast<std::uint64_t>(size) > limits_.argument_bytes_max) {
            return fail("invalid bulk length");
        }
        has_size_ = true;
        size_ = static_cast<std::size_t>(size);
    }
    const std::size_t end = position_ + size_ + 2;
    if (input.size() < end) {
        wanted_ = end;
        return Outcome::kIncomplete;
    }
    places_.push_back({.offset = position_, .size = size_});
    position_ = end;
    searched_ = end;
    has_size_ = false;
    --left_;
    return Outcome::kRequest;
}

RequestParser::Outcome RequestParser::take_number(ByteView input,
                                                  std::string_view too_big,
                                                  std::int64_t* number) {
    // Nearly all counts and sizes have one or two digits.
    const std::size_t rest = input.size() - position_;
    if (rest >= 4 && input[position_ + 2] == '\r') {
        const char digit = input[position_ + 1];
        if (digit >= '0' && digit <= '9') {
            *number = digit - '0';
            position_ += 4;
            searched_ = position_;
            return Outcome::kRequest;
        }
    }
    const std::size_t end = input.find('\r', searched_);
    if (end == ByteView::npos) {
        if (rest > limits_.inline_bytes_max) {
            return fail(std::string(too_big));
        }
        searched_ = input.size();
        return Outcome::kIncomplete;
    }
    if (end + 2 > input.size()) {
        searched_ = end;
        return Outcome::kIncomplete;
    }
    const auto parsed = parse_int64(input.substr(position_ + 1, end - position_ - 1));
    if (!parsed) {
        return fail(has_count_ ? "invalid bulk length" : "invalid multibulk length");
    }
    *number = *parsed;
    position_ = end + 2;
    searched_ = position_;
    return Outcome::kRequest;
}

RequestParser::Outcome RequestParser::parse_inline(ByteView input) {
    const std::size_t end = input.find('\n', searched_);
    if (end == ByteView::npos) {
        if (input.size() > limits_.inline_bytes_max) {
            return fail("too big inline request");
        }
        searched_ = input.size();
        return Outcome::kIncomplete;
    }
    ByteView line = input.substr(0, end);
    if (!line.empty() && line.back() == '\r') {
        line.remove_suffix(1);
    }
    inline_bytes_.clear();
    std::vector<std::size_t> ends;
    if (!split_words(line, inline_bytes_, ends)) {
        return fail("unbalanced quotes in request");
    }
    std::size_t begin = 0;
    views_.clear();
    for (const std::size_t word_end : ends) {
        views_.push_back(ByteView(inline_bytes_).substr(begin, word_end - begin));
        begin = word_end;
    }
    position_ = end + 1;
    return Outcome::kRequest;
}

RequestParser::Outcome RequestParser::complete(ByteView input) {
    views_.clear();
    for (const Place& place : places_) {
        views_.push_back(input.substr(place.offset, place.size));
    }
    return Outcome::kRequest;
}

RequestParser::Outcome RequestParser::fail(std::string error) {
    error_ = std::move(error);
    return Outcome::kError;
}

bool split_words(ByteView line, Bytes& bytes, std::vector<std::size_t>& ends) {
    std::size_t at = 0;
    while (true) {
        while (at < line.size() && is_blank(line[at])) {
            ++at;
        }
        if (at == line.size()) {
            return true;
        }
        const auto end = WordReader(line, at, bytes).read();
        if (!end) {
            return false;
        }
        ends.push_back(bytes.size());
        at = *end;
    }
}

}  // namespace kvstore::resp
