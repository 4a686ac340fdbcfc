#include "cli/client_command.h"

#include <array>
#include <cstdlib>
#include <utility>

#include "base/log.h"
#include "base/parse.h"
#include "cli/output.h"
#include "posix/runtime.h"

namespace kvstore::cli {
namespace {

constexpr std::array<FlagSpec, 9> kCommonFlags{{
    {.name = "endpoints",
     .value = "A,B",
     .help = "HTTP addresses of servers [127.0.0.1:8080] (KVSTORE_ENDPOINTS)"},
    {.name = "url", .value = "URL", .help = "the same: http://host:port"},
    {.name = "u", .value = "URL", .help = "the same"},
    {.name = "keyspace", .value = "NAME", .help = "the keyspace [default] (KVSTORE_KEYSPACE)"},
    {.name = "o", .value = "plain|table|json", .help = "how to print [plain]"},
    {.name = "output", .value = "FORMAT", .help = "the same"},
    {.name = "command-timeout", .value = "TIME", .help = "for each request [10s]"},
    {.name = "help", .value = "", .help = "this text"},
    {.name = "h", .value = "", .help = "this text"},
}};

Status invalid(std::string message) {
    return {Code::kInvalidArgument, std::move(message)};
}

std::string setting(const Arguments& arguments,
                    std::string_view flag,
                    const char* variable,
                    std::string_view fallback) {
    if (const auto value = arguments.value(flag)) {
        return *value;
    }
    const char* value = std::getenv(variable);
    return value != nullptr && *value != '\0' ? std::string(value) : std::string(fallback);
}

std::string help_of(const ClientCommand& command, std::span<const FlagSpec> flags) {
    return "Usage: kvstore " + std::string(command.name) + " " + std::string(command.usage) +
           "\n\n" + std::string(command.help) + "\n\n" + flags_help(flags);
}

Status check_words(const ClientCommand& command, std::size_t count) {
    if (count >= command.words_min && count <= command.words_max) {
        return {};
    }
    return invalid("usage: kvstore " + std::string(command.name) + " " +
                   std::string(command.usage));
}

ExitCode usage_error(const ClientCommand& command, const Status& why) {
    write_error("kvstore " + std::string(command.name) + ": " + std::string(why.message()) + "\n");
    return ExitCode::kUsage;
}

std::string_view repair_of(const Status& why) {
    switch (why.code()) {
        case Code::kUnavailable:
            return why.effect() == Effect::kNone
                       ? "\n  nothing was changed; start a server with `kvstore server`, or name "
                         "others with --endpoints"
                       : "";
        case Code::kDeadlineExceeded: return "\n  --command-timeout allows more time";
        default: return "";
    }
}

}  // namespace

std::span<const FlagSpec> common_flags() {
    return kCommonFlags;
}

Result<OutputFormat> read_output_format(const Arguments& arguments) {
    const std::string name =
        arguments.value("o").value_or(arguments.value("output").value_or("plain"));
    if (name == "json") {
        return OutputFormat::kJson;
    }
    if (name == "table") {
        return OutputFormat::kTable;
    }
    if (name == "plain") {
        return OutputFormat::kPlain;
    }
    return invalid("-o must be plain, table or json, not '" + name + "'");
}

Result<ApiOptions> read_api_options(const Arguments& arguments) {
    ApiOptions options;
    const std::string url = arguments.value("url").value_or(arguments.value("u").value_or(""));
    const std::string endpoints =
        url.empty() ? setting(arguments, "endpoints", "KVSTORE_ENDPOINTS", "127.0.0.1:8080") : url;
    auto parsed = parse_endpoints(endpoints);
    if (!parsed.ok()) {
        return parsed.status().with_context("--endpoints");
    }
    options.endpoints = *std::move(parsed);
    options.keyspace = setting(arguments, "keyspace", "KVSTORE_KEYSPACE", "default");
    if (const auto text = arguments.value("command-timeout")) {
        const auto timeout = parse_duration(*text);
        if (!timeout || timeout->count() <= 0) {
            return invalid("--command-timeout must be a time such as 5s, not '" + *text + "'");
        }
        options.timeout = *timeout;
    }
    return options;
}

Result<std::uint64_t> parse_ttl(std::string_view text) {
    if (const auto seconds = parse_uint64(text); seconds && *seconds > 0) {
        return *seconds;
    }
    const auto span = parse_duration(text);
    if (!span || span->count() <= 0) {
        return invalid("--ttl must be a time such as 90s or 1h30m, not '" + std::string(text) +
                       "'");
    }
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(*span).count();
    return static_cast<std::uint64_t>(seconds);
}

ExitCode report_failure(const ClientSession& session, const Status& why) {
    std::string text = "kvstore " + std::string(session.command) + ": " + why.to_string();
    if (why.effect() == Effect::kUnknown) {
        text += "\n  it may yet take effect: look before you repeat it";
    }
    text += repair_of(why);
    write_error(text + "\n");
    return client_exit_code(why);
}

ExitCode run_client_command(const ClientCommand& command,
                            const std::vector<std::string>& arguments) {
    std::vector<FlagSpec> flags(command.flags.begin(), command.flags.end());
    flags.insert(flags.end(), kCommonFlags.begin(), kCommonFlags.end());
    auto parsed = parse_arguments(flags, arguments);
    if (!parsed.ok()) {
        return usage_error(command, parsed.status());
    }
    if (parsed->has("help") || parsed->has("h")) {
        write_output(help_of(command, flags));
        return ExitCode::kOk;
    }
    auto options = read_api_options(*parsed);
    const auto format = read_output_format(*parsed);
    const Status words = check_words(command, parsed->words().size());
    for (const Status& status : {words, options.status(), format.status()}) {
        if (!status.ok()) {
            return usage_error(command, status);
        }
    }
    set_log_level(LogLevel::kError);
    posix::Runtime runtime(posix::RuntimeOptions{});
    ClientSession session{.env = runtime.env(),
                          .api = ApiClient(runtime.env(), *std::move(options)),
                          .arguments = *std::move(parsed),
                          .format = *format,
                          .command = command.name};
    return runtime.block_on(command.run(&session));
}

}  // namespace kvstore::cli
