// put, get, delete, scan, incr, ttl.
#include <algorithm>
#include <array>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "base/parse.h"
#include "cli/client_command.h"
#include "cli/input.h"
#include "cli/output.h"

namespace kvstore::cli {
namespace {

namespace json = boost::json;

void print_json(const json::object& object) {
    write_output(json::serialize(object) + "\n");
}

// ---- put ----

constexpr std::array<FlagSpec, 3> kPutFlags{{
    {.name = "ttl", .value = "TIME", .help = "lifetime: 90s, 1h, or a number of seconds"},
    {.name = "if-absent", .value = "", .help = "only if the key does not exist (else exit code 6)"},
    {.name = "prev", .value = "", .help = "print the value that was there before"},
}};

Result<PutOptions> read_put_options(const Arguments& arguments) {
    PutOptions options;
    if (const auto text = arguments.value("ttl")) {
        KVSTORE_TRY(options.ttl_seconds, parse_ttl(*text));
    }
    options.if_none_match = arguments.has("if-absent") ? "*" : "";
    options.wants_previous = arguments.has("prev");
    return options;
}

async::Task<ExitCode> run_put(ClientSession* session) {
    auto options = read_put_options(session->arguments);
    if (!options.ok()) {
        (void)report_failure(*session, options.status());
        co_return ExitCode::kUsage;
    }
    const bool from_stdin = session->arguments.words().size() == 1;
    const auto value = from_stdin ? read_all_input() : Result<Bytes>(session->word(1));
    if (!value.ok()) {
        co_return report_failure(*session, value.status());
    }
    const auto written = co_await session->api.put(session->word(0), *value, *options);
    if (!written.ok()) {
        co_return report_failure(*session, written.status());
    }
    if (session->format == OutputFormat::kJson) {
        print_json(*written);
    } else if (options->wants_previous) {
        const auto old = bytes_of(*written, "old_value");
        write_output(old ? *old + "\n" : "");
    } else {
        write_output("OK\n");
    }
    co_return ExitCode::kOk;
}

// ---- get ----

constexpr std::array<FlagSpec, 1> kGetFlags{{
    {.name = "e", .value = "", .help = "exit with 3 when the key does not exist"},
}};

async::Task<ExitCode> run_get(ClientSession* session) {
    std::optional<std::string> text;
    if (session->format == OutputFormat::kJson) {
        const auto record = co_await session->api.get_record(session->word(0));
        if (!record.ok()) {
            co_return report_failure(*session, record.status());
        }
        if (record->has_value()) {
            text = json::serialize(**record);
        }
    } else {
        const auto value = co_await session->api.get(session->word(0));
        if (!value.ok()) {
            co_return report_failure(*session, value.status());
        }
        text = *value;
    }
    if (!text) {
        write_error("key not found\n");
        co_return session->arguments.has("e") ? ExitCode::kNotFound : ExitCode::kOk;
    }
    write_output(*text + "\n");
    co_return ExitCode::kOk;
}

// ---- delete ----

async::Task<ExitCode> run_delete(ClientSession* session) {
    const auto removed = co_await session->api.remove(session->arguments.words());
    if (!removed.ok()) {
        co_return report_failure(*session, removed.status());
    }
    const std::string count = std::to_string(*removed);
    write_output(session->format == OutputFormat::kJson ? "{\"deleted\":" + count + "}\n"
                                                        : count + "\n");
    co_return ExitCode::kOk;
}

// ---- scan ----

constexpr std::array<FlagSpec, 7> kScanFlags{{
    {.name = "prefix", .value = "TEXT", .help = "keys that begin with it"},
    {.name = "from", .value = "KEY", .help = "the first key, inclusive"},
    {.name = "to", .value = "KEY", .help = "the end, exclusive"},
    {.name = "limit", .value = "N", .help = "at most so many [all]"},
    {.name = "reverse", .value = "", .help = "the last key first"},
    {.name = "keys-only", .value = "", .help = "no values"},
    {.name = "count", .value = "", .help = "only how many"},
}};

constexpr std::uint64_t kPageRows = 1000;

ScanOptions read_scan_options(const Arguments& arguments) {
    ScanOptions options;
    options.prefix = arguments.value("prefix").value_or("");
    options.from = arguments.value("from").value_or("");
    options.to = arguments.value("to").value_or("");
    options.reverse = arguments.has("reverse");
    options.keys_only = arguments.has("keys-only");
    options.count_only = arguments.has("count");
    if (!arguments.words().empty()) {
        options.prefix = arguments.words().front();
    }
    return options;
}

std::string row_text(const ClientSession& session, const json::object& row) {
    if (session.format == OutputFormat::kJson) {
        return json::serialize(row) + "\n";
    }
    std::string key = bytes_of(row, "key").value_or("");
    if (session.arguments.has("keys-only")) {
        return key + "\n";
    }
    if (session.format == OutputFormat::kTable) {
        key.resize(std::max<std::size_t>(key.size(), 32), ' ');
        return key + "  " + bytes_of(row, "value").value_or("") + "\n";
    }
    return key + "\t" + bytes_of(row, "value").value_or("") + "\n";
}

bool print_page(const ClientSession& session, const json::object& page) {
    const json::value* rows = page.if_contains("keys");
    if (rows == nullptr || !rows->is_array()) {
        return true;
    }
    std::string text;
    for (const json::value& row : rows->as_array()) {
        text += row.is_object() ? row_text(session, row.as_object()) : "";
    }
    return write_output(text);
}

async::Task<ExitCode> run_scan(ClientSession* session) {
    ScanOptions options = read_scan_options(session->arguments);
    const auto limit = number_flag(session->arguments, "limit", ~0ULL);
    if (!limit.ok()) {
        (void)report_failure(*session, limit.status());
        co_return ExitCode::kUsage;
    }
    std::uint64_t left = *limit;
    while (left > 0) {
        options.page_size = std::min(left, kPageRows);
        const auto page = co_await session->api.scan_page(options);
        if (!page.ok()) {
            co_return report_failure(*session, page.status());
        }
        const auto count = static_cast<std::uint64_t>(number_of(*page, "count"));
        if (options.count_only) {
            write_output(std::to_string(std::min(count, *limit)) + "\n");
            co_return ExitCode::kOk;
        }
        options.cursor = bytes_of(*page, "cursor").value_or("");
        left -= std::min(left, count);
        if (!print_page(*session, *page) || options.cursor.empty() || count == 0) {
            break;
        }
    }
    co_return ExitCode::kOk;
}

// ---- incr, ttl ----

async::Task<ExitCode> run_incr(ClientSession* session) {
    const bool has_by = session->arguments.words().size() > 1;
    const auto by = has_by ? parse_int64(session->word(1)) : 1;
    if (!by) {
        write_error("kvstore incr: BY must be a whole number, not '" + session->word(1) + "'\n");
        co_return ExitCode::kUsage;
    }
    const auto sum = co_await session->api.increment(session->word(0), *by);
    if (!sum.ok()) {
        co_return report_failure(*session, sum.status());
    }
    write_output(std::to_string(*sum) + "\n");
    co_return ExitCode::kOk;
}

async::Task<ExitCode> run_ttl(ClientSession* session) {
    const auto record = co_await session->api.get_record(session->word(0));
    if (!record.ok()) {
        co_return report_failure(*session, record.status());
    }
    if (!record->has_value()) {
        write_output("-2\n");
        co_return ExitCode::kNotFound;
    }
    const bool expires = (*record)->contains("ttl_seconds");
    write_output((expires ? std::to_string(number_of(**record, "ttl_seconds")) : "-1") + "\n");
    co_return ExitCode::kOk;
}

}  // namespace

const ClientCommand& put_command() {
    static constexpr ClientCommand kCommand{
        .name = "put",
        .usage = "KEY [VALUE] [flags]",
        .help = "Writes a key. Without VALUE the value is what comes on stdin.",
        .flags = kPutFlags,
        .words_min = 1,
        .words_max = 2,
        .run = run_put};
    return kCommand;
}

const ClientCommand& get_command() {
    static constexpr ClientCommand kCommand{.name = "get",
                                            .usage = "KEY [flags]",
                                            .help = "Prints the value of a key and a newline.",
                                            .flags = kGetFlags,
                                            .words_min = 1,
                                            .words_max = 1,
                                            .run = run_get};
    return kCommand;
}

const ClientCommand& delete_command() {
    static constexpr ClientCommand kCommand{.name = "delete",
                                            .usage = "KEY... [flags]",
                                            .help = "Deletes keys, and prints how many existed.",
                                            .flags = {},
                                            .words_min = 1,
                                            .words_max = kManyWords,
                                            .run = run_delete};
    return kCommand;
}

const ClientCommand& scan_command() {
    static constexpr ClientCommand kCommand{
        .name = "scan",
        .usage = "[PREFIX] [flags]",
        .help = "Prints keys and values in key order, a tab between them.",
        .flags = kScanFlags,
        .words_min = 0,
        .words_max = 1,
        .run = run_scan};
    return kCommand;
}

const ClientCommand& incr_command() {
    static constexpr ClientCommand kCommand{
        .name = "incr",
        .usage = "KEY [BY] [flags]",
        .help = "Adds to a number and prints the sum. An absent key counts as 0.",
        .flags = {},
        .words_min = 1,
        .words_max = 2,
        .run = run_incr};
    return kCommand;
}

const ClientCommand& ttl_command() {
    static constexpr ClientCommand kCommand{
        .name = "ttl",
        .usage = "KEY [flags]",
        .help = "Prints the seconds that a key has left: -1 for ever, -2 (exit code 3) absent.",
        .flags = {},
        .words_min = 1,
        .words_max = 1,
        .run = run_ttl};
    return kCommand;
}

}  // namespace kvstore::cli
