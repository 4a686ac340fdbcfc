// Replies of the Redis protocol to bytes, in version 2 or 3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/status.h"

namespace kvstore::resp {

enum class Protocol : std::uint8_t { kResp2 = 2, kResp3 = 3 };

// Counts the errors that clients were told, by their first word.
class ErrorCounter {
public:
    virtual void count_error(std::string_view error) = 0;

protected:
    ~ErrorCounter() = default;
};

// Appends to bytes that outlive it.
class ReplyWriter {
public:
    ReplyWriter(Bytes& to, Protocol protocol, ErrorCounter* errors)
        : to_(&to), errors_(errors), protocol_(protocol) {}

    // One line; `text` has no line end.
    void simple(std::string_view text);
    void ok() { to_->append("+OK\r\n"); }
    // `text` begins with the error's code, "ERR no such key"; line ends in it become blanks.
    void error(std::string_view text);
    // Says the same in Redis' words, with its effect where that is not known.
    void status(const Status& why);
    void bulk(ByteView bytes);
    void null();
    void null_array();
    void integer(std::int64_t number);
    void array(std::size_t count) { header('*', count); }
    // `count` pairs follow; an array of twice as many in version 2.
    void map(std::size_t count);
    // An array in version 2.
    void set(std::size_t count);
    // A number in version 2.
    void boolean(bool value);
    // A bulk string in version 2.
    void real(double value);
    // Text for people; a bulk string in version 2.
    void verbatim(std::string_view text);
    // Bytes that are a reply already.
    void raw(ByteView reply) { to_->append(reply); }

    [[nodiscard]] Protocol protocol() const { return protocol_; }
    [[nodiscard]] Bytes& bytes() { return *to_; }

private:
    void header(char type, std::uint64_t number);

    Bytes* to_;
    ErrorCounter* errors_;
    Protocol protocol_;
};

// A write's or read's error in Redis' words: "ERR ...", "BUSY ...", "MISCONF ...".
[[nodiscard]] std::string error_text(const Status& why);

}  // namespace kvstore::resp
