#include "cli/shell.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

#include <boost/json/array.hpp>

#include "base/build_info.h"
#include "base/log.h"
#include "base/parse.h"
#include "cli/client_command.h"
#include "cli/embedded_node.h"
#include "cli/input.h"
#include "cli/line_editor.h"
#include "cli/output.h"
#include "cli/progress_bar.h"
#include "posix/runtime.h"

namespace kvstore::cli {
namespace {

namespace json = boost::json;

using Words = std::vector<std::string>;

constexpr std::uint64_t kScanRows = 100;

constexpr std::array<FlagSpec, 1> kShellFlags{{
    {.name = "data-dir", .value = "DIR", .help = "kv_store: where its own data lives"},
}};

constexpr std::string_view kHelp =
    "  PUT key value [TTL time]   write a key; quote what holds blanks\n"
    "  GET key                    its value\n"
    "  REMOVE key...              delete; also DELETE, DEL\n"
    "  SCAN [prefix]              the first keys and values\n"
    "  INCR key [by]              add to a number\n"
    "  TTL key                    seconds left; -1 for ever, -2 absent\n"
    "  HELP, EXIT\n";

struct ShellCommand {
    std::string_view name;
    std::size_t words_min;
    std::size_t words_max;
    async::Task<Result<std::string>> (*run)(ApiClient* api, Words words);
};

async::Task<Result<std::string>> do_put(ApiClient* api, Words words) {
    PutOptions options;
    if (words.size() == 5 && (words[3] == "TTL" || words[3] == "ttl")) {
        const auto seconds = parse_ttl(words[4]);
        if (!seconds.ok()) {
            co_return seconds.status();
        }
        options.ttl_seconds = *seconds;
    } else if (words.size() != 3) {
        co_return Status(Code::kInvalidArgument, "use PUT key value; quote a value with blanks");
    }
    const auto written = co_await api->put(words[1], words[2], std::move(options));
    if (!written.ok()) {
        co_return written.status();
    }
    co_return "OK";
}

async::Task<Result<std::string>> do_get(ApiClient* api, Words words) {
    auto value = co_await api->get(words[1]);
    if (!value.ok()) {
        co_return value.status();
    }
    co_return value->value_or("key not found");
}

async::Task<Result<std::string>> do_remove(ApiClient* api, Words words) {
    words.erase(words.begin());
    const auto removed = co_await api->remove(words);
    if (!removed.ok()) {
        co_return removed.status();
    }
    if (*removed == 0) {
        co_return "key not found";
    }
    co_return words.size() == 1 ? "OK" : "OK, " + std::to_string(*removed) + " removed";
}

async::Task<Result<std::string>> do_scan(ApiClient* api, Words words) {
    ScanOptions options;
    options.prefix = words.size() > 1 ? words[1] : "";
    options.page_size = kScanRows;
    const auto page = co_await api->scan_page(options);
    if (!page.ok()) {
        co_return page.status();
    }
    std::string text;
    const json::value* rows = page->if_contains("keys");
    if (rows != nullptr && rows->is_array()) {
        for (const json::value& row : rows->as_array()) {
            if (row.is_object()) {
                text += bytes_of(row.as_object(), "key").value_or("") + "\t" +
                        bytes_of(row.as_object(), "value").value_or("") + "\n";
            }
        }
    }
    const bool has_more = page->contains("cursor");
    co_return text + "(" + std::to_string(number_of(*page, "count")) + " keys" +
        (has_more ? ", and more)" : ")");
}

async::Task<Result<std::string>> do_incr(ApiClient* api, Words words) {
    const auto by = words.size() > 2 ? parse_int64(words[2]) : 1;
    if (!by) {
        co_return Status(Code::kInvalidArgument, "'" + words[2] + "' is no whole number");
    }
    const auto sum = co_await api->increment(words[1], *by);
    if (!sum.ok()) {
        co_return sum.status();
    }
    co_return std::to_string(*sum);
}

async::Task<Result<std::string>> do_ttl(ApiClient* api, Words words) {
    const auto record = co_await api->get_record(words[1]);
    if (!record.ok()) {
        co_return record.status();
    }
    if (!record->has_value()) {
        co_return "-2";
    }
    const bool expires = (*record)->contains("ttl_seconds");
    co_return expires ? std::to_string(number_of(**record, "ttl_seconds")) : "-1";
}

constexpr std::array<ShellCommand, 9> kCommands{{
    {.name = "PUT", .words_min = 3, .words_max = 5, .run = do_put},
    {.name = "SET", .words_min = 3, .words_max = 5, .run = do_put},
    {.name = "GET", .words_min = 2, .words_max = 2, .run = do_get},
    {.name = "REMOVE", .words_min = 2, .words_max = kManyWords, .run = do_remove},
    {.name = "DELETE", .words_min = 2, .words_max = kManyWords, .run = do_remove},
    {.name = "DEL", .words_min = 2, .words_max = kManyWords, .run = do_remove},
    {.name = "SCAN", .words_min = 1, .words_max = 2, .run = do_scan},
    {.name = "INCR", .words_min = 2, .words_max = 3, .run = do_incr},
    {.name = "TTL", .words_min = 2, .words_max = 2, .run = do_ttl},
}};

std::string upper(std::string text) {
    for (char& c : text) {
        c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
    return text;
}

using MoreCommands = std::vector<PromptCommand>;

std::vector<std::string_view> command_names(const MoreCommands& more) {
    std::vector<std::string_view> names{"HELP", "EXIT"};
    for (const PromptCommand& command : more) {
        names.push_back(command.name);
    }
    for (const ShellCommand& command : kCommands) {
        names.push_back(command.name);
    }
    return names;
}

std::string help_text(const MoreCommands& more) {
    std::string text;
    for (const PromptCommand& command : more) {
        text += "  " + std::string(command.help) + "\n";
    }
    return text + std::string(kHelp);
}

async::Task<Result<std::string>> run_line(ApiClient* api, MoreCommands* more, Words words) {
    const std::string name = upper(words.front());
    const auto added = std::ranges::find(*more, name, &PromptCommand::name);
    if (added != more->end()) {
        co_return co_await added->run(std::move(words));
    }
    for (const ShellCommand& command : kCommands) {
        if (command.name != name) {
            continue;
        }
        if (words.size() < command.words_min || words.size() > command.words_max) {
            co_return Status(Code::kInvalidArgument, "wrong number of words; HELP tells how");
        }
        co_return co_await command.run(api, std::move(words));
    }
    const std::vector<std::string_view> names = command_names(*more);
    const std::string_view near = nearest_spelling(name, names);
    co_return Status(
        Code::kInvalidArgument,
        "unknown command " + name +
            (near.empty() ? "; HELP lists them" : "; did you mean " + std::string(near) + "?"));
}

// The prompt, or stdin. Reading blocks, so it is done off the core: a node of this process goes on.
class LineSource {
public:
    LineSource(bool is_terminal, const MoreCommands& more) : is_terminal_(is_terminal) {
        if (is_terminal_) {
            editor_ = std::make_unique<LineEditor>(command_names(more));
        } else if (auto reader = LineReader::open("-"); reader.ok()) {
            reader_ = std::make_unique<LineReader>(*std::move(reader));
        }
    }

    // Nullopt at the end.
    async::Task<std::optional<std::string>> next(env::Env* env) {
        std::optional<std::string> line;
        Callback<void()> work([this, &line] { line = is_terminal_ ? editor_->read() : read(); });
        co_await env->disk.run_blocking(std::move(work));
        co_return line;
    }

private:
    std::optional<std::string> read() {
        if (reader_ == nullptr) {
            return std::nullopt;
        }
        const auto line = reader_->next();
        return line.ok() ? *line : std::nullopt;
    }

    bool is_terminal_;
    std::unique_ptr<LineEditor> editor_;
    std::unique_ptr<LineReader> reader_;
};

async::Task<PromptEnd> run_lines(env::Env* env,
                                 ApiClient* api,
                                 MoreCommands* more,
                                 LineSource* source) {
    PromptEnd end;
    for (;;) {
        const auto line = co_await source->next(env);
        if (!line) {
            co_return end;
        }
        auto words = split_words(*line);
        if (words.ok() && (words->empty() || words->front().starts_with('#'))) {
            continue;
        }
        const std::string name = words.ok() ? upper(words->front()) : "";
        if (name == "EXIT" || name == "QUIT") {
            end.was_asked = true;
            co_return end;
        }
        if (name == "HELP") {
            write_output(help_text(*more));
            continue;
        }
        Result<std::string> answer(words.status().ok() ? Result<std::string>(std::string())
                                                       : Result<std::string>(words.status()));
        if (words.ok()) {
            answer = co_await run_line(api, more, *std::move(words));
        }
        if (answer.ok()) {
            write_output(*answer + "\n");
        } else {
            end.all_ok = false;
            write_error("error: " + answer.status().to_string() + "\n");
        }
    }
}

struct ShellPlan {
    ApiOptions api;
    std::string data_dir;
    bool may_embed = false;
};

async::Task<bool> is_server_there(env::Env* env, ApiOptions options) {
    options.timeout = std::chrono::seconds(2);
    ApiClient probe(*env, std::move(options));
    http::ClientRequest request;
    request.target = "/livez";
    const auto answer = co_await probe.call(std::move(request));
    co_return answer.ok();
}

void greet(bool is_terminal, const std::string& where) {
    if (is_terminal) {
        write_error("kvstore " + std::string(build_info().version) + ", " + where +
                    ". HELP lists the commands.\n");
    }
}

async::Task<ExitCode> run_plan(env::Env* env, ShellPlan plan) {
    std::unique_ptr<server::Node> node;
    const bool has_server = co_await is_server_there(env, plan.api);
    std::string where = "server";
    if (!has_server && plan.may_embed) {
        const EmbeddedOptions options;
        auto started = co_await start_embedded_node(env, options);
        if (!started.ok()) {
            write_error("kv_store: " + plan.data_dir + ": " + started.status().to_string() + "\n");
            co_return server_exit_code(started.status());
        }
        node = *std::move(started);
        plan.api.endpoints = {node->addresses().http};
        where = "data in " + plan.data_dir + ", HTTP";
    }
    ApiClient api(*env, plan.api);
    if (node == nullptr && !has_server) {
        write_error("kvstore shell: no server answers at " + api.endpoints_text() +
                    "; start one with `kvstore server`, or name it with --endpoints\n");
        co_return ExitCode::kUnavailable;
    }
    greet(is_input_terminal(), where + " " + api.endpoints_text());
    MoreCommands none;
    const PromptEnd end = co_await run_prompt(env, &api, &none);
    const Status stopped = node == nullptr ? Status() : co_await node->stop();
    if (!stopped.ok()) {
        write_error("kv_store: " + stopped.to_string() + "\n");
        co_return server_exit_code(stopped);
    }
    co_return end.all_ok ? ExitCode::kOk : ExitCode::kError;
}

ExitCode run(const std::vector<std::string>& arguments, bool may_embed) {
    std::vector<FlagSpec> flags(kShellFlags.begin(), kShellFlags.end());
    flags.insert(flags.end(), common_flags().begin(), common_flags().end());
    const auto parsed = parse_arguments(flags, arguments);
    const auto api = parsed.ok() ? read_api_options(*parsed) : parsed.status();
    if (!api.ok() || !parsed->words().empty()) {
        write_error("kvstore shell: " +
                    (api.ok() ? "takes flags only" : std::string(api.status().message())) + "\n");
        return ExitCode::kUsage;
    }
    if (parsed->has("help") || parsed->has("h")) {
        write_output("Usage: kvstore shell [flags]\n\n" + std::string(kHelp) + "\n" +
                     flags_help(flags));
        return ExitCode::kOk;
    }
    set_log_level(LogLevel::kError);
    ShellPlan plan{.api = *api,
                   .data_dir = parsed->value("data-dir").value_or("./kv_store_data"),
                   .may_embed = may_embed && !parsed->has("endpoints")};
    posix::RuntimeOptions options;
    options.root_directory = plan.data_dir;
    posix::Runtime runtime(options);
    return runtime.block_on(run_plan(&runtime.env(), plan));
}

}  // namespace

async::Task<PromptEnd> run_prompt(env::Env* env, ApiClient* api, std::vector<PromptCommand>* more) {
    LineSource source(is_input_terminal(), *more);
    co_return co_await run_lines(env, api, more, &source);
}

ExitCode run_shell(const std::vector<std::string>& arguments) {
    return run(arguments, false);
}

ExitCode run_embedded_shell(const std::vector<std::string>& arguments) {
    return run(arguments, true);
}

}  // namespace kvstore::cli
