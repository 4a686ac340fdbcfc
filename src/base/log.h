// The log façade: a constant phrase without values, then fields.
//
//     log_info("segment recycled", {{"segment", number}, {"bytes", size}});
//
// A line is JSON (`ts`, `level`, `msg`, fields) or text when the sink is a terminal. Values of keys
// and secrets are never logged. Any thread may log; a line is written with one write() to stderr or
// handed to the sink that tests and the simulator install.
#pragma once

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

namespace kvstore {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError, kOff };

class LogField {
public:
    template <typename Number>
        requires std::is_arithmetic_v<Number>
    LogField(std::string_view name,
             Number value)  // NOLINT(google-explicit-constructor): field lists
        : name_(name), value_(number_text(value)), is_number_(is_json_number(value)) {}
    LogField(std::string_view name, std::string_view value) : name_(name), value_(value) {}
    LogField(std::string_view name, const char* value) : name_(name), value_(value) {}
    LogField(std::string_view name, const std::string& value) : name_(name), value_(value) {}

    [[nodiscard]] std::string_view name() const { return name_; }
    [[nodiscard]] std::string_view value() const { return value_; }
    [[nodiscard]] bool is_number() const { return is_number_; }

private:
    // JSON has neither infinity nor NaN.
    template <typename Number>
    static bool is_json_number(Number value) {
        if constexpr (std::is_floating_point_v<Number>) {
            return std::isfinite(value);
        }
        return !std::is_same_v<Number, bool>;
    }
    template <typename Number>
    static std::string number_text(Number value) {
        if constexpr (std::is_same_v<Number, bool>) {
            return value ? "true" : "false";
        } else {
            return std::to_string(value);
        }
    }

    std::string_view name_;
    std::string value_;
    bool is_number_ = false;
};

using LogFields = std::initializer_list<LogField>;

// Receives whole lines, without the newline. Must be callable from any thread.
using LogSink = void (*)(LogLevel level, std::string_view line);

void set_log_level(LogLevel level) noexcept;
[[nodiscard]] LogLevel log_level() noexcept;

// Null puts stderr back.
void set_log_sink(LogSink sink) noexcept;

enum class LogFormat : std::uint8_t { kJson, kText };
void set_log_format(LogFormat format) noexcept;

void log(LogLevel level, std::string_view message, LogFields fields);
void flush_log() noexcept;

inline void log_debug(std::string_view message, LogFields fields = {}) {
    log(LogLevel::kDebug, message, fields);
}
inline void log_info(std::string_view message, LogFields fields = {}) {
    log(LogLevel::kInfo, message, fields);
}
inline void log_warning(std::string_view message, LogFields fields = {}) {
    log(LogLevel::kWarning, message, fields);
}
inline void log_error(std::string_view message, LogFields fields = {}) {
    log(LogLevel::kError, message, fields);
}

}  // namespace kvstore
