// status, keyspace, save, and compact of a running server.
#include <array>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/parse.h"
#include "cli/client_command.h"
#include "cli/output.h"
#include "cli/progress_bar.h"

namespace kvstore::cli {
namespace {

namespace json = boost::json;

std::string text_of(const json::object& from, std::string_view name) {
    const json::value* value = from.if_contains(name);
    if (value == nullptr) {
        return {};
    }
    return value->is_string() ? std::string(value->as_string()) : json::serialize(*value);
}

// ---- status ----

std::string shard_line(const json::object& shard) {
    std::string name = text_of(shard, "keyspace");
    name.resize(std::max<std::size_t>(name.size(), 16), ' ');
    const auto size = [&](std::string_view member) {
        return format_size(static_cast<std::uint64_t>(number_of(shard, member)));
    };
    return "  " + name + "  shard " + text_of(shard, "shard") + ", " +
           with_thousands(static_cast<std::uint64_t>(number_of(shard, "keys"))) +
           " keys, revision " + text_of(shard, "revision") + ", memory " + size("memory_bytes") +
           ", disk " + size("disk_bytes") + ", health " + text_of(shard, "health") + "\n";
}

std::string status_text(const json::object& status) {
    std::string text = "node        " + text_of(status, "node_id") + "\n";
    text += "cluster     " + text_of(status, "cluster_id") + "\n";
    text += "version     " + text_of(status, "version") + "\n";
    text += "uptime      " +
            format_duration(std::chrono::seconds(number_of(status, "uptime_seconds"))) + "\n";
    text += "durability  " + text_of(status, "durability") + "\n";
    text += "keyspaces\n";
    const json::value* shards = status.if_contains("shards");
    if (shards != nullptr && shards->is_array()) {
        for (const json::value& shard : shards->as_array()) {
            text += shard.is_object() ? shard_line(shard.as_object()) : "";
        }
    }
    const json::value* damaged = status.if_contains("damaged");
    if (damaged != nullptr && damaged->is_array() && !damaged->as_array().empty()) {
        text += "damaged, to be made anew from other nodes\n";
        for (const json::value& replica : damaged->as_array()) {
            text += replica.is_object() ? "  shard " + text_of(replica.as_object(), "shard") +
                                              ": " + text_of(replica.as_object(), "reason") + "\n"
                                        : "";
        }
    }
    return text;
}

async::Task<ExitCode> run_status(ClientSession* session) {
    http::ClientRequest request;
    request.target = "/v1/status";
    const auto status = co_await session->api.call_json(std::move(request));
    if (!status.ok()) {
        co_return report_failure(*session, status.status());
    }
    write_output(session->format == OutputFormat::kJson ? json::serialize(*status) + "\n"
                                                        : status_text(*status));
    co_return ExitCode::kOk;
}

// ---- save, compact ----

async::Task<ExitCode> run_upkeep(ClientSession* session, std::string path) {
    http::ClientRequest request;
    request.method = http::Method::kPost;
    request.target = std::move(path);
    const auto done = co_await session->api.call_json(std::move(request));
    if (!done.ok()) {
        co_return report_failure(*session, done.status());
    }
    write_output(session->format == OutputFormat::kJson ? json::serialize(*done) + "\n" : "OK\n");
    co_return ExitCode::kOk;
}

async::Task<ExitCode> run_save(ClientSession* session) {
    return run_upkeep(session, "/v1/admin/save");
}

async::Task<ExitCode> run_compact_online(ClientSession* session) {
    return run_upkeep(session, "/v1/admin/compact");
}

// ---- keyspace ----

constexpr std::array<FlagSpec, 3> kKeyspaceFlags{{
    {.name = "engine", .value = "lsm|memory", .help = "create: where its data lives"},
    {.name = "history", .value = "TIME", .help = "create, change: how long history is kept"},
    {.name = "split-at",
     .value = "KEY,...",
     .help = "create: the first key of each shard but the first"},
}};

std::string keyspace_line(const json::object& keyspace) {
    std::string name = text_of(keyspace, "name");
    name.resize(std::max<std::size_t>(name.size(), 24), ' ');
    const json::value* const shards = keyspace.if_contains("shards");
    const std::size_t count =
        shards != nullptr && shards->is_array() ? shards->as_array().size() : 0;
    return name + "  " + text_of(keyspace, "engine") + "  " + text_of(keyspace, "replication") +
           "  history " + text_of(keyspace, "history") +
           (count > 1 ? "  " + std::to_string(count) + " shards" : "") + "\n";
}

void print_keyspaces(const ClientSession& session, const json::object& answer) {
    if (session.format == OutputFormat::kJson) {
        write_output(json::serialize(answer) + "\n");
        return;
    }
    const json::value* list = answer.if_contains("keyspaces");
    if (list == nullptr || !list->is_array()) {
        write_output(keyspace_line(answer));
        return;
    }
    for (const json::value& keyspace : list->as_array()) {
        write_output(keyspace.is_object() ? keyspace_line(keyspace.as_object()) : "");
    }
}

// "b,m,t": a key each, as the server takes them.
json::array split_points(std::string_view list) {
    json::array keys;
    for (std::size_t begin = 0; begin <= list.size();) {
        const std::size_t end = std::min(list.find(',', begin), list.size());
        keys.emplace_back(list.substr(begin, end - begin));
        begin = end + 1;
    }
    return keys;
}

// The request of a verb; nullopt: there is no such verb, or its name is missing.
std::optional<http::ClientRequest> keyspace_request(const ClientSession& session) {
    const std::string& verb = session.word(0);
    http::ClientRequest request;
    request.target = "/v1/keyspaces";
    if (verb == "list") {
        return request;
    }
    if (session.arguments.words().size() < 2) {
        return std::nullopt;
    }
    json::object body;
    for (const std::string_view name : {"engine", "history"}) {
        if (const auto value = session.arguments.value(name)) {
            body[name] = *value;
        }
    }
    if (verb == "create") {
        request.method = http::Method::kPost;
        body["name"] = session.word(1);
        if (const auto keys = session.arguments.value("split-at")) {
            body["split_at"] = split_points(*keys);
        }
    } else if (verb == "change" || verb == "drop") {
        request.method = verb == "drop" ? http::Method::kDelete : http::Method::kPatch;
        request.target += "/" + http::percent_encode(session.word(1));
    } else {
        return std::nullopt;
    }
    request.body = verb == "drop" ? "" : json::serialize(body);
    return request;
}

async::Task<ExitCode> run_keyspace(ClientSession* session) {
    auto request = keyspace_request(*session);
    if (!request) {
        write_error("kvstore keyspace: use list, create NAME, change NAME or drop NAME\n");
        co_return ExitCode::kUsage;
    }
    auto answer = co_await session->api.call(*std::move(request));
    if (!answer.ok()) {
        co_return report_failure(*session, answer.status());
    }
    boost::system::error_code error;
    const json::value body = json::parse(answer->body, error);
    if (!error && body.is_object()) {
        print_keyspaces(*session, body.as_object());
    } else {
        write_output("OK\n");
    }
    co_return ExitCode::kOk;
}

}  // namespace

const ClientCommand& status_command() {
    static constexpr ClientCommand kCommand{.name = "status",
                                            .usage = "[flags]",
                                            .help = "Shows the node, its log and its shards.",
                                            .flags = {},
                                            .words_min = 0,
                                            .words_max = 0,
                                            .run = run_status};
    return kCommand;
}

const ClientCommand& keyspace_command() {
    static constexpr ClientCommand kCommand{
        .name = "keyspace",
        .usage = "list | create NAME | change NAME | drop NAME  [flags]",
        .help = "Lists, makes, changes and drops keyspaces.",
        .flags = kKeyspaceFlags,
        .words_min = 1,
        .words_max = 2,
        .run = run_keyspace};
    return kCommand;
}

const ClientCommand& save_command() {
    static constexpr ClientCommand kCommand{
        .name = "save",
        .usage = "[flags]",
        .help = "Makes everything durable without the log (snapshots, flushes).",
        .flags = {},
        .words_min = 0,
        .words_max = 0,
        .run = run_save};
    return kCommand;
}

const ClientCommand& compact_online_command() {
    static constexpr ClientCommand kCommand{
        .name = "compact",
        .usage = "[DIR] [flags]",
        .help =
            "Gives back the space that deleted data holds: of a running server, or, with DIR, "
            "of a data directory that no server uses.",
        .flags = {},
        .words_min = 0,
        .words_max = 0,
        .run = run_compact_online};
    return kCommand;
}

}  // namespace kvstore::cli
