#include "base/log.h"

#include <array>
#include <atomic>
#include <cstdio>
#include <ctime>

#include "base/json_escape.h"

namespace kvstore {
namespace {

struct Settings {
    std::atomic<LogLevel> level{LogLevel::kInfo};
    std::atomic<LogSink> sink{nullptr};
    std::atomic<LogFormat> format{LogFormat::kJson};
};

Settings& settings() noexcept {
    static Settings instance;
    return instance;
}

std::string_view level_name(LogLevel level) noexcept {
    switch (level) {
        case LogLevel::kDebug: return "debug";
        case LogLevel::kInfo: return "info";
        case LogLevel::kWarning: return "warning";
        case LogLevel::kError: return "error";
        case LogLevel::kOff: return "off";
    }
    return "off";
}

// RFC 3339 in UTC with milliseconds. Log lines carry real time in simulations too: a line is for
// people, and nothing reads it back.
void append_timestamp(std::string& to) {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    tm parts{};
    ::gmtime_r(&now.tv_sec, &parts);
    std::array<char, 40> text{};
    const std::size_t length = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
    to.append(text.data(), length);
    const auto milliseconds = static_cast<unsigned>(now.tv_nsec / 1'000'000);
    to += '.';
    to += static_cast<char>('0' + milliseconds / 100);
    to += static_cast<char>('0' + milliseconds / 10 % 10);
    to += static_cast<char>('0' + milliseconds % 10);
    to += 'Z';
}

std::string json_line(LogLevel level, std::string_view message, LogFields fields) {
    std::string line = R"({"ts":")";
    append_timestamp(line);
    line += R"(","level":")";
    line += level_name(level);
    line += R"(","msg":")";
    append_json_escaped(line, message);
    line += '"';
    for (const LogField& field : fields) {
        line += ",\"";
        append_json_escaped(line, field.name());
        line += field.is_number() ? "\":" : "\":\"";
        append_json_escaped(line, field.value());
        if (!field.is_number()) {
            line += '"';
        }
    }
    line += '}';
    return line;
}

std::string text_line(LogLevel level, std::string_view message, LogFields fields) {
    std::string line;
    append_timestamp(line);
    line += ' ';
    line += level_name(level);
    line += "  ";
    line += message;
    for (const LogField& field : fields) {
        line += ' ';
        line += field.name();
        line += '=';
        append_json_escaped(line, field.value());
    }
    return line;
}

}  // namespace

void set_log_level(LogLevel level) noexcept {
    settings().level.store(level, std::memory_order_relaxed);
}

LogLevel log_level() noexcept {
    return settings().level.load(std::memory_order_relaxed);
}

void set_log_sink(LogSink sink) noexcept {
    settings().sink.store(sink, std::memory_order_release);
}

void set_log_format(LogFormat format) noexcept {
    settings().format.store(format, std::memory_order_relaxed);
}

void log(LogLevel level, std::string_view message, LogFields fields) {
    if (level < log_level()) {
        return;
    }
    std::string line = settings().format.load(std::memory_order_relaxed) == LogFormat::kJson
                           ? json_line(level, message, fields)
                           : text_line(level, message, fields);
    if (const LogSink sink = settings().sink.load(std::memory_order_acquire)) {
        sink(level, line);
        return;
    }
    line += '\n';
    // One call a line, so that lines of several threads never mix. Nobody can be told when it
    // fails.
    (void)std::fwrite(line.data(), 1, line.size(), stderr);
}

void flush_log() noexcept {
    (void)std::fflush(stderr);
}

}  // namespace kvstore
