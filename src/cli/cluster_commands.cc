// member, node, shard, move-leader and endpoint: a cluster, administered through any of its nodes.
#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/json_escape.h"
#include "base/parse.h"
#include "cli/client_command.h"
#include "cli/output.h"
#include "cli/text_table.h"

namespace kvstore::cli {
namespace {

namespace json = boost::json;

constexpr std::string_view kMembers = "/v1/cluster/members";
constexpr std::string_view kShards = "/v1/cluster/shards";
constexpr Duration kWaitDefault = std::chrono::minutes(1);
// Of one request; then it is asked again, of another node where this one has gone.
constexpr Duration kStepMax = std::chrono::seconds(5);

constexpr FlagSpec kWaitFlag{
    .name = "wait", .value = "TIME", .help = "until it is carried out; 0: not at all [1m]"};

std::string text_of(const json::object& from, std::string_view name) {
    const json::value* value = from.if_contains(name);
    if (value == nullptr) {
        return {};
    }
    return value->is_string() ? std::string(value->as_string()) : json::serialize(*value);
}

// The objects of the list `name`.
std::vector<json::object> objects_of(const json::object& from, std::string_view name) {
    std::vector<json::object> objects;
    const json::value* list = from.if_contains(name);
    if (list != nullptr && list->is_array()) {
        for (const json::value& each : list->as_array()) {
            if (each.is_object()) {
                objects.push_back(each.as_object());
            }
        }
    }
    return objects;
}

std::vector<std::string> texts_of(const json::object& from, std::string_view name) {
    std::vector<std::string> texts;
    const json::value* list = from.if_contains(name);
    if (list != nullptr && list->is_array()) {
        for (const json::value& each : list->as_array()) {
            texts.push_back(each.is_string() ? std::string(each.as_string())
                                             : json::serialize(each));
        }
    }
    return texts;
}

std::string joined(const std::vector<std::string>& texts, std::string_view between) {
    std::string all;
    for (const std::string& text : texts) {
        all += (all.empty() ? "" : std::string(between)) + text;
    }
    return all;
}

// "-" where there is nothing, so that columns can be cut apart.
std::string or_dash(std::string text) {
    return text.empty() ? "-" : text;
}

async::Task<ExitCode> end_with_usage(std::string_view text) {
    write_error(text);
    co_return ExitCode::kUsage;
}

ExitCode usage(const ClientSession& session, std::string_view what) {
    write_error("kvstore " + std::string(session.command) + ": " + std::string(what) + "\n");
    return ExitCode::kUsage;
}

async::Task<Result<json::object>> ask(ClientSession* session, std::string_view path) {
    http::ClientRequest request;
    request.target = std::string(path);
    return session->api.call_json(std::move(request));
}

void print(const ClientSession& session, const json::object& answer, const TextTable& table) {
    write_output(session.format == OutputFormat::kJson ? json::serialize(answer) + "\n"
                                                       : table.text());
}

// ---- what takes its time ----

// A change that may be asked again and again.
struct Change {
    http::Method method = http::Method::kPost;
    std::string_view prefix;  // of the path
    std::string subject;      // a node or a shard
    std::string suffix;
    json::object body;
};

http::ClientRequest request_of(const Change& change, Duration wait) {
    http::ClientRequest request;
    request.method = change.method;
    const auto milliseconds = std::chrono::duration_cast<std::chrono::milliseconds>(wait).count();
    request.target =
        Target(std::string(change.prefix) + "/" + http::percent_encode(change.subject) +
               change.suffix)
            .add("wait", std::to_string(std::max<std::int64_t>(0, milliseconds)) + "ms")
            .text();
    if (change.method == http::Method::kPost) {
        request.body = json::serialize(change.body);
    }
    return request;
}

// Asks until it is done or the time is over, and leaves the last answer in `answer`.
async::Task<Status> carry_out(ClientSession* session,
                              Change change,
                              Duration wait,
                              json::object* answer) {
    const MonotonicTime end = session->env.clock.now() + wait;
    const Duration step = std::min(kStepMax, session->api.options().timeout / 2);
    for (;;) {
        const Duration left = end - session->env.clock.now();
        auto asked = co_await session->api.call_json(request_of(change, std::min(step, left)));
        KVSTORE_CO_TRY(*answer, std::move(asked));
        if (const json::value* done = answer->if_contains("done");
            done == nullptr || !done->is_bool() || done->as_bool() ||
            session->env.clock.now() >= end) {
            co_return Status();
        }
        // Its name may be another's by the time it has left.
        if (answer->contains("node") && change.prefix == kMembers) {
            change.subject = text_of(*answer, "node");
        }
    }
}

bool is_done(const json::object& answer) {
    const json::value* done = answer.if_contains("done");
    return done != nullptr && done->is_bool() && done->as_bool();
}

Result<Duration> wait_of(const ClientSession& session) {
    const auto text = session.arguments.value("wait");
    const auto wait = text ? parse_duration(*text) : std::optional(kWaitDefault);
    if (!wait || *wait < Duration(0)) {
        return Status(Code::kInvalidArgument,
                      "--wait must be a time such as 30s, not '" + *text + "'");
    }
    return *wait;
}

async::Task<ExitCode> run_change(ClientSession* session, Change change) {
    const auto wait = wait_of(*session);
    if (!wait.ok()) {
        co_return usage(*session, wait.status().message());
    }
    json::object answer;
    const Status asked = co_await carry_out(session, std::move(change), *wait, &answer);
    if (!asked.ok()) {
        co_return report_failure(*session, asked);
    }
    const std::string left = joined(texts_of(answer, "left"), "\n  ");
    if (session->format == OutputFormat::kJson) {
        write_output(json::serialize(answer) + "\n");
    } else if (is_done(answer)) {
        write_output("OK\n");
    } else {
        write_output("under way, and goes on by itself; left:\n  " + left + "\n");
    }
    co_return is_done(answer) || *wait == Duration(0) ? ExitCode::kOk : ExitCode::kUnavailable;
}

// ---- member, node ----

// What an operator should look at, in a few words.
std::string trouble_of(const json::object& member) {
    const std::string disk = text_of(member, "disk");
    if (!disk.empty() && disk != "ok") {
        return "disk " + disk;
    }
    const std::string damaged = text_of(member, "damaged");
    return damaged.empty() || damaged == "0"
               ? ""
               : damaged + (damaged == "1" ? " replica damaged" : " replicas damaged");
}

TextTable members_table(const std::vector<json::object>& members) {
    TextTable table({"ID",
                     "NAME",
                     "STATE",
                     "LIVENESS",
                     "ROLE",
                     "ZONE",
                     "REPLICAS",
                     "LEADERS",
                     "TROUBLE",
                     "HTTP",
                     "PEER"});
    for (const json::object& member : members) {
        json::object addresses;
        if (const json::value* told = member.if_contains("addresses");
            told != nullptr && told->is_object()) {
            addresses = told->as_object();
        }
        table.add({text_of(member, "id"),
                   text_of(member, "name"),
                   text_of(member, "state"),
                   text_of(member, "liveness"),
                   text_of(member, "role"),
                   or_dash(text_of(member, "zone")),
                   text_of(member, "replicas"),
                   text_of(member, "leaders"),
                   or_dash(trouble_of(member)),
                   or_dash(text_of(addresses, "http")),
                   or_dash(text_of(addresses, "peer"))});
    }
    return table;
}

// By name first, as the servers do.
std::optional<json::object> find_member(const json::object& answer, const std::string& called) {
    const std::vector<json::object> members = objects_of(answer, "members");
    for (const std::string_view by : {"name", "id"}) {
        for (const json::object& member : members) {
            if (text_of(member, by) == called) {
                return member;
            }
        }
    }
    return std::nullopt;
}

Status no_such_node(const std::string& called) {
    return {Code::kNotFound, "no node is called '" + called + "'"};
}

async::Task<ExitCode> list_members(ClientSession* session) {
    const auto answer = co_await ask(session, kMembers);
    if (!answer.ok()) {
        co_return report_failure(*session, answer.status());
    }
    print(*session, *answer, members_table(objects_of(*answer, "members")));
    co_return ExitCode::kOk;
}

async::Task<ExitCode> show_member(ClientSession* session) {
    const auto answer = co_await ask(session, kMembers);
    if (!answer.ok()) {
        co_return report_failure(*session, answer.status());
    }
    const auto member = find_member(*answer, session->word(1));
    if (!member) {
        co_return report_failure(*session, no_such_node(session->word(1)));
    }
    print(*session, *member, members_table({*member}));
    co_return ExitCode::kOk;
}

async::Task<ExitCode> add_member(ClientSession* session) {
    json::object body{{"name", session->word(1)}, {"learner", session->arguments.has("learner")}};
    http::ClientRequest request;
    request.method = http::Method::kPost;
    request.target = std::string(kMembers);
    request.body = json::serialize(body);
    const auto answer = co_await session->api.call_json(std::move(request));
    if (!answer.ok()) {
        co_return report_failure(*session, answer.status());
    }
    if (session->format == OutputFormat::kJson) {
        write_output(json::serialize(*answer) + "\n");
        co_return ExitCode::kOk;
    }
    write_output("node " + text_of(*answer, "id") + " (" + session->word(1) + ") is expected" +
                 (session->arguments.has("learner") ? " as a learner" : "") +
                 "; start it with\n  kvstore server --id " + session->word(1) + " --join " +
                 joined(texts_of(*answer, "join"), ",") + "\n");
    co_return ExitCode::kOk;
}

async::Task<ExitCode> run_member(ClientSession* session) {
    const std::string& verb = session->word(0);
    const bool has_name = session->arguments.words().size() == 2;
    if (verb == "list" && !has_name) {
        return list_members(session);
    }
    if (verb == "add" && has_name) {
        return add_member(session);
    }
    Change change;
    change.prefix = kMembers;
    change.subject = has_name ? session->word(1) : "";
    if (verb == "remove" && has_name) {
        change.method = http::Method::kDelete;
        return run_change(session, std::move(change));
    }
    if (verb == "promote" && has_name) {
        change.suffix = "/promote";
        return run_change(session, std::move(change));
    }
    return end_with_usage("kvstore member: use list, add NAME, remove NODE or promote NODE\n");
}

async::Task<ExitCode> run_node(ClientSession* session) {
    const std::string& verb = session->word(0);
    const bool has_name = session->arguments.words().size() == 2;
    if (verb == "status") {
        return has_name ? show_member(session) : list_members(session);
    }
    constexpr std::array<std::string_view, 4> kVerbs{
        "drain", "undrain", "decommission", "recommission"};
    if (has_name && std::ranges::find(kVerbs, verb) != kVerbs.end()) {
        Change change;
        change.prefix = kMembers;
        change.subject = session->word(1);
        change.suffix = "/" + verb;
        return run_change(session, std::move(change));
    }
    return end_with_usage(
        "kvstore node: use status [NODE], drain NODE, undrain NODE, decommission NODE or "
        "recommission NODE\n");
}

// ---- shard, move-leader ----

// A bound of a range, safe to print.
std::string bound_of(const json::object& shard, std::string_view name) {
    std::string text;
    append_json_escaped(text, bytes_of(shard, name).value_or(""));
    return or_dash(text);
}

std::string number_or_dash(const json::object& from, std::string_view name) {
    const std::string text = text_of(from, name);
    return text == "0" ? "-" : or_dash(text);
}

async::Task<ExitCode> list_shards(ClientSession* session) {
    const auto answer = co_await ask(session, kShards);
    if (!answer.ok()) {
        co_return report_failure(*session, answer.status());
    }
    TextTable table({"ID",
                     "KEYSPACE",
                     "START",
                     "END",
                     "EPOCH",
                     "LEADER",
                     "VOTERS",
                     "LEARNERS",
                     "PREFERRED",
                     "WANTED"});
    for (const json::object& shard : objects_of(*answer, "shards")) {
        table.add({text_of(shard, "id"),
                   text_of(shard, "keyspace"),
                   bound_of(shard, "start"),
                   bound_of(shard, "end"),
                   text_of(shard, "epoch"),
                   number_or_dash(shard, "leader"),
                   or_dash(joined(texts_of(shard, "voters"), ",")),
                   or_dash(joined(texts_of(shard, "learners"), ",")),
                   number_or_dash(shard, "preferred_leader"),
                   or_dash(joined(texts_of(shard, "wanted"), ","))});
    }
    print(*session, *answer, table);
    co_return ExitCode::kOk;
}

async::Task<ExitCode> run_shard(ClientSession* session) {
    const std::string& verb = session->word(0);
    const bool has_id = session->arguments.words().size() == 2;
    if (verb == "list" && !has_id) {
        return list_shards(session);
    }
    const auto from = session->arguments.value("from");
    const auto to = session->arguments.value("to");
    const bool is_automatic = session->arguments.has("automatic");
    if (verb == "move" && has_id && (is_automatic ? !from && !to : from && to)) {
        Change change;
        change.prefix = kShards;
        change.subject = session->word(1);
        change.suffix = "/move";
        if (is_automatic) {
            change.body["automatic"] = true;
        } else {
            change.body["from"] = *from;
            change.body["to"] = *to;
        }
        return run_change(session, std::move(change));
    }
    return end_with_usage(
        "kvstore shard: use list, move ID --from NODE --to NODE or move ID --automatic\n");
}

Change leader_change(std::string shard, const std::string& node) {
    Change change;
    change.prefix = kShards;
    change.subject = std::move(shard);
    change.suffix = "/leader";
    if (node.empty()) {
        change.body["automatic"] = true;
    } else {
        change.body["node"] = node;
    }
    return change;
}

// The shards that `node` has a vote in, by their numbers.
async::Task<Result<std::vector<std::string>>> shards_voted_by(ClientSession* session,
                                                              std::string node) {
    KVSTORE_CO_TRY(const json::object members, co_await ask(session, kMembers));
    const auto member = find_member(members, node);
    if (!member) {
        co_return no_such_node(node);
    }
    KVSTORE_CO_TRY(const json::object shards, co_await ask(session, kShards));
    std::vector<std::string> ids;
    for (const json::object& shard : objects_of(shards, "shards")) {
        const std::vector<std::string> voters = texts_of(shard, "voters");
        if (std::ranges::find(voters, text_of(*member, "id")) != voters.end()) {
            ids.push_back(text_of(shard, "id"));
        }
    }
    if (ids.empty()) {
        co_return Status(Code::kConflict, "it has no replica that votes, so it can lead nothing");
    }
    co_return ids;
}

async::Task<ExitCode> run_move_leader(ClientSession* session) {
    const bool is_automatic = session->arguments.has("automatic");
    const auto one = session->arguments.value("shard");
    if (is_automatic != session->arguments.words().empty() || (is_automatic && !one)) {
        co_return usage(*session, "use NODE [--shard ID], or --shard ID --automatic");
    }
    const std::string node = is_automatic ? "" : session->word(0);
    if (one) {
        co_return co_await run_change(session, leader_change(*one, node));
    }
    const auto shards = co_await shards_voted_by(session, node);
    if (!shards.ok()) {
        co_return report_failure(*session, shards.status());
    }
    ExitCode worst = ExitCode::kOk;
    for (const std::string& shard : *shards) {
        const ExitCode code = co_await run_change(session, leader_change(shard, node));
        worst = worst == ExitCode::kOk ? code : worst;
    }
    co_return worst;
}

// ---- endpoint ----

// What one endpoint says.
struct Said {
    std::string endpoint;
    Result<http::Response> answer;
    Duration took{};
};

// Each endpoint by itself, in their order.
async::Task<std::vector<Said>> ask_endpoints(ClientSession* session, std::string path) {
    std::vector<Said> said;
    for (const env::Address& endpoint : session->api.options().endpoints) {
        http::Client client(session->env, endpoint);
        http::ClientRequest request;
        request.target = path;
        const MonotonicTime begun = session->env.clock.now();
        const auto deadline = async::Deadline::after(begun, session->api.options().timeout);
        auto answer = co_await client.request(std::move(request), deadline);
        Said one{.endpoint = endpoint.to_string(), .answer = std::move(answer)};
        one.took = session->env.clock.now() - begun;
        said.push_back(std::move(one));
    }
    co_return said;
}

bool is_well(const Said& said) {
    return said.answer.ok() && said.answer->status == 200;
}

std::string in_one_line(std::string text) {
    std::ranges::replace(text, '\n', ' ');
    while (text.ends_with(' ')) {
        text.pop_back();
    }
    return text;
}

// What is wrong, in one line.
std::string trouble_of(const Said& said) {
    if (!said.answer.ok()) {
        return said.answer.status().to_string();
    }
    return is_well(said) ? "" : in_one_line(said.answer->body);
}

// What a node that is ready says all the same.
std::string warning_of(const Said& said) {
    constexpr std::string_view kReady = "ready\n";
    std::string text = is_well(said) ? said.answer->body : "";
    if (text.ends_with(kReady)) {
        text.resize(text.size() - kReady.size());
    }
    return in_one_line(std::move(text));
}

// Who cannot be reached goes before who is unwell.
ExitCode exit_code_of(const std::vector<Said>& all) {
    ExitCode code = ExitCode::kOk;
    for (const Said& said : all) {
        if (!said.answer.ok()) {
            return client_exit_code(said.answer.status());
        }
        code = is_well(said) ? code : ExitCode::kError;
    }
    return code;
}

std::string milliseconds_text(Duration span) {
    return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(span).count()) +
           "ms";
}

async::Task<ExitCode> show_health(ClientSession* session) {
    const std::vector<Said> all = co_await ask_endpoints(session, "/readyz");
    TextTable table({"ENDPOINT", "HEALTHY", "TOOK", "ERROR", "WARNING"});
    json::array list;
    for (const Said& said : all) {
        table.add({said.endpoint,
                   is_well(said) ? "true" : "false",
                   milliseconds_text(said.took),
                   or_dash(trouble_of(said)),
                   or_dash(warning_of(said))});
        list.push_back(json::object{{"endpoint", said.endpoint},
                                    {"healthy", is_well(said)},
                                    {"took", milliseconds_text(said.took)},
                                    {"error", trouble_of(said)},
                                    {"warning", warning_of(said)}});
    }
    const json::object answer{{"endpoints", std::move(list)}};
    print(*session, answer, table);
    co_return exit_code_of(all);
}

json::object status_of(const Said& said) {
    boost::system::error_code error;
    const json::value body = is_well(said) ? json::parse(said.answer->body, error) : json::value();
    return body.is_object() ? body.as_object() : json::object();
}

async::Task<ExitCode> show_endpoints(ClientSession* session) {
    const std::vector<Said> all = co_await ask_endpoints(session, "/v1/status");
    TextTable table({"ENDPOINT", "ID", "NAME", "VERSION", "UPTIME", "SHARDS", "LEADERS", "ERROR"});
    json::array list;
    for (const Said& said : all) {
        const json::object status = status_of(said);
        const std::vector<json::object> shards = objects_of(status, "shards");
        const auto leads = std::ranges::count_if(shards, [&](const json::object& shard) {
            return text_of(shard, "leader") == text_of(status, "node_number");
        });
        table.add({said.endpoint,
                   or_dash(text_of(status, "node_number")),
                   or_dash(text_of(status, "node_id")),
                   or_dash(text_of(status, "version")),
                   format_duration(std::chrono::seconds(number_of(status, "uptime_seconds"))),
                   std::to_string(shards.size()),
                   std::to_string(leads),
                   or_dash(trouble_of(said))});
        list.push_back(json::object{
            {"endpoint", said.endpoint}, {"status", status}, {"error", trouble_of(said)}});
    }
    const json::object answer{{"endpoints", std::move(list)}};
    print(*session, answer, table);
    co_return exit_code_of(all);
}

async::Task<ExitCode> run_endpoint(ClientSession* session) {
    const std::string& verb = session->word(0);
    if (verb == "health") {
        return show_health(session);
    }
    if (verb == "status") {
        return show_endpoints(session);
    }
    return end_with_usage("kvstore endpoint: use health or status\n");
}

constexpr std::array<FlagSpec, 2> kMemberFlags{{
    {.name = "learner", .value = "", .help = "add: it holds no replicas until it is promoted"},
    kWaitFlag,
}};
constexpr std::array<FlagSpec, 1> kNodeFlags{{kWaitFlag}};
constexpr std::array<FlagSpec, 4> kShardFlags{{
    {.name = "from", .value = "NODE", .help = "move: whose replica goes"},
    {.name = "to", .value = "NODE", .help = "move: where it goes"},
    {.name = "automatic", .value = "", .help = "move: the cluster places it again"},
    kWaitFlag,
}};
constexpr std::array<FlagSpec, 3> kLeaderFlags{{
    {.name = "shard", .value = "ID", .help = "this one alone [all that NODE has a vote in]"},
    {.name = "automatic", .value = "", .help = "the cluster chooses again who leads the shard"},
    kWaitFlag,
}};

}  // namespace

const ClientCommand& member_command() {
    static constexpr ClientCommand kCommand{
        .name = "member",
        .usage = "list | add NAME [--learner] | remove NODE | promote NODE  [flags]",
        .help =
            "Lists the nodes of the cluster, keeps a name for a new one, removes one that is\n"
            "dead for good, and gives a learner its share. NODE is a name or a number.",
        .flags = kMemberFlags,
        .words_min = 1,
        .words_max = 2,
        .run = run_member};
    return kCommand;
}

const ClientCommand& node_command() {
    static constexpr ClientCommand kCommand{
        .name = "node",
        .usage =
            "status [NODE] | drain NODE | undrain NODE | decommission NODE | recommission "
            "NODE  [flags]",
        .help =
            "Shows nodes; has one lead nothing (before a restart), or give everything away\n"
            "and leave; and takes either back. NODE is a name or a number.",
        .flags = kNodeFlags,
        .words_min = 1,
        .words_max = 2,
        .run = run_node};
    return kCommand;
}

const ClientCommand& shard_command() {
    static constexpr ClientCommand kCommand{
        .name = "shard",
        .usage = "list | move ID --from NODE --to NODE | move ID --automatic  [flags]",
        .help = "Lists shards, and moves a replica of one to another node, where it then stays.",
        .flags = kShardFlags,
        .words_min = 1,
        .words_max = 2,
        .run = run_shard};
    return kCommand;
}

const ClientCommand& move_leader_command() {
    static constexpr ClientCommand kCommand{
        .name = "move-leader",
        .usage = "NODE [--shard ID] | --shard ID --automatic  [flags]",
        .help = "Has NODE lead a shard, or all that it has a vote in, whenever it can.",
        .flags = kLeaderFlags,
        .words_min = 0,
        .words_max = 1,
        .run = run_move_leader};
    return kCommand;
}

const ClientCommand& endpoint_command() {
    static constexpr ClientCommand kCommand{
        .name = "endpoint",
        .usage = "health | status  [flags]",
        .help =
            "Asks each of --endpoints by itself. Exit code 4: one cannot be reached; 1: one is\n"
            "not ready.",
        .flags = {},
        .words_min = 1,
        .words_max = 1,
        .run = run_endpoint};
    return kCommand;
}

}  // namespace kvstore::cli
