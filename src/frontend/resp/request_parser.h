// Requests of the Redis protocol from bytes: arrays of bulk strings, and inline commands for people
// with a terminal. Error texts, and where an error ends the connection, are those of Redis 7.0.
//
// A request stays where it came in: arguments are views into the input. Of a half-received request
// the parser remembers how far it is, so a large one costs each byte once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"

namespace kvstore::resp {

using Arguments = std::span<const ByteView>;

// Lifetime  One a connection.
// Runs on   One core; a value.
class RequestParser {
public:
    struct Limits {
        std::size_t inline_bytes_max = 64U << 10U;  // also of a header line
        std::size_t argument_bytes_max = 512U << 20U;
        std::size_t arguments_max = 1U << 20U;
    };

    enum class Outcome : std::uint8_t {
        kIncomplete,  // come again with more input
        kRequest,     // arguments() holds it; possibly empty: nothing is to be done
        kError,       // error() says why; nothing can be read any more
    };

    RequestParser() = default;
    explicit RequestParser(Limits limits) : limits_(limits) {}

    // `input` begins where the request begins: with the bytes of the last call, if that was
    // incomplete, and more behind them.
    Outcome parse(ByteView input);

    // After kRequest: views into the input of that call, or into the parser for inline commands.
    [[nodiscard]] Arguments arguments() const { return views_; }
    // After kRequest: forgets it, and says how many bytes it had. Its arguments may be shown until
    // the next parse().
    std::size_t advance();
    // Forgets what was parsed: the next input begins where a request begins.
    void rewind();

    // After kError: without "-ERR " and line end.
    [[nodiscard]] std::string_view error() const { return error_; }

    // How large the input must at least become before anything more can be read; 0: not known.
    [[nodiscard]] std::size_t wanted() const { return wanted_; }

private:
    struct Place {
        std::size_t offset;
        std::size_t size;
    };

    bool parse_whole_array(ByteView input);
    Outcome parse_array(ByteView input);
    Outcome parse_inline(ByteView input);
    // Takes "<type><number>\r\n" at position_.
    Outcome take_number(ByteView input, std::string_view too_big, std::int64_t* number);
    Outcome take_argument(ByteView input);
    Outcome fail(std::string error);
    Outcome complete(ByteView input);

    Limits limits_;
    std::size_t position_ = 0;  // of what is parsed next
    std::size_t searched_ = 0;  // no line end before it, from position_ on
    std::size_t left_ = 0;      // arguments still to come
    bool has_count_ = false;
    bool has_size_ = false;  // of the next argument
    std::size_t size_ = 0;
    std::size_t wanted_ = 0;
    std::vector<Place> places_;
    std::vector<ByteView> views_;
    Bytes inline_bytes_;
    std::string error_;
};

// Splits a line into words as a shell would: "double quoted" words know \n \r \t \b \a \xHH,
// 'single quoted' ones know \'. The words stand one after another in `bytes`, their ends in `ends`.
// Returns: false when quotes are not closed, or closed within a word.
bool split_words(ByteView line, Bytes& bytes, std::vector<std::size_t>& ends);

}  // namespace kvstore::resp
