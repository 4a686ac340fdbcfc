// `kvstore export`: keys and values as lines of JSON, which `kvstore import` takes.
#include <array>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "cli/client_command.h"
#include "cli/output.h"
#include "cli/progress_bar.h"

namespace kvstore::cli {
namespace {

namespace json = boost::json;

constexpr std::array<FlagSpec, 3> kFlags{{
    {.name = "prefix", .value = "TEXT", .help = "keys that begin with it"},
    {.name = "from", .value = "KEY", .help = "the first key, inclusive"},
    {.name = "to", .value = "KEY", .help = "the end, exclusive"},
}};

std::string export_line(const json::object& row) {
    json::object line;
    for (const std::string_view name :
         {"key", "key_base64", "value", "value_base64", "ttl_seconds"}) {
        if (const json::value* member = row.if_contains(name)) {
            line[name] = *member;
        }
    }
    return json::serialize(line) + "\n";
}

std::string page_text(const json::object& page) {
    std::string text;
    const json::value* rows = page.if_contains("keys");
    if (rows != nullptr && rows->is_array()) {
        for (const json::value& row : rows->as_array()) {
            text += row.is_object() ? export_line(row.as_object()) : "";
        }
    }
    return text;
}

async::Task<ExitCode> run_export(ClientSession* session) {
    ScanOptions options;
    options.prefix = session->arguments.value("prefix").value_or("");
    options.from = session->arguments.value("from").value_or("");
    options.to = session->arguments.value("to").value_or("");
    ProgressBar bar(session->env.clock.now());
    Progress progress;
    do {
        const auto page = co_await session->api.scan_page(options);
        if (!page.ok()) {
            co_return report_failure(*session, page.status());
        }
        const std::string text = page_text(*page);
        if (!write_output(text)) {
            write_error("kvstore export: stdout takes no more\n");
            co_return ExitCode::kError;
        }
        progress.item_count += static_cast<std::uint64_t>(number_of(*page, "count"));
        progress.byte_count += text.size();
        bar.show(session->env.clock.now(), progress);
        options.cursor = bytes_of(*page, "cursor").value_or("");
    } while (!options.cursor.empty());
    co_return ExitCode::kOk;
}

}  // namespace

const ClientCommand& export_command() {
    static constexpr ClientCommand kCommand{
        .name = "export",
        .usage = "[flags]",
        .help =
            "Prints keys and values as lines of JSON, which `kvstore import` takes. Each page\n"
            "shows one moment; the whole does not while others write.",
        .flags = kFlags,
        .words_min = 0,
        .words_max = 0,
        .run = run_export};
    return kCommand;
}

}  // namespace kvstore::cli
