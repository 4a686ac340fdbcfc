#include "cli/demo_command.h"

#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include <termios.h>
#include <unistd.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

#include "async/sync.h"
#include "base/build_info.h"
#include "base/log.h"
#include "cli/api_client.h"
#include "cli/arguments.h"
#include "cli/demo_cluster.h"
#include "cli/demo_failover.h"
#include "cli/output.h"
#include "cli/progress_bar.h"
#include "cli/shell.h"
#include "posix/runtime.h"

namespace kvstore::cli {
namespace {

namespace json = boost::json;

constexpr std::array<FlagSpec, 4> kFlags{{
    {.name = "data", .value = "DIR", .help = "keep the data here [a temporary folder]"},
    {.name = "failover", .value = "", .help = "begin with the death of a leader, measured"},
    {.name = "help", .value = "", .help = "this text"},
    {.name = "h", .value = "", .help = "this text"},
}};

constexpr std::string_view kUsage =
    "Usage: kvstore demo [flags]\n\n"
    "Starts three nodes as one cluster on this machine, loads sample data and says what to try.\n"
    "At its prompt FAILOVER kills the leader and measures; HELP lists the rest. Without a\n"
    "terminal it takes the same commands from stdin, and runs until it is ended.\n\n";

constexpr Duration kStartPatience = std::chrono::seconds(60);

struct Pair {
    std::string_view key;
    std::string_view value;
};
constexpr std::array<Pair, 9> kSample{{
    {"city:amsterdam", "921402"},
    {"city:rotterdam", "655468"},
    {"city:thehague", "552995"},
    {"city:utrecht", "367947"},
    {"city:eindhoven", "243730"},
    {"user:1", "Ada"},
    {"user:2", "Grace"},
    {"user:3", "Edsger"},
    {"visits", "41"},
}};

// A folder for as long as the demo runs, or one that was given.
class Folder {
public:
    // Errors: kIoError.
    static Result<Folder> make(std::optional<std::string> given) {
        if (given) {
            return Folder(*std::move(given), false);
        }
        std::error_code error;
        std::string path =
            (std::filesystem::temp_directory_path(error) / "kvstore-demo-XXXXXX").string();
        if (error || ::mkdtemp(path.data()) == nullptr) {
            return Status(Code::kIoError, "no temporary folder can be made at " + path);
        }
        return Folder(std::move(path), true);
    }
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] bool is_temporary() const { return is_temporary_; }
    void remove() const {
        if (is_temporary_) {
            std::error_code ignored;
            std::filesystem::remove_all(path_, ignored);
        }
    }

private:
    Folder(std::string path, bool is_temporary)
        : path_(std::move(path)), is_temporary_(is_temporary) {}

    std::string path_;
    bool is_temporary_;
};

// This program as it can be called from anywhere, as a client.
std::string client_program() {
    std::error_code error;
    const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
    const std::filesystem::path client = self.parent_path() / "kvstore-cli";
    return std::filesystem::exists(client, error) ? client.string() : self.string();
}

class Demo {
public:
    Demo(env::Env& env, const Folder& folder)
        : env_(env), folder_(folder), cluster_(env, folder.path()), began_(env.clock.now()) {
        if (is_input_terminal()) {
            has_terminal_ = ::tcgetattr(STDIN_FILENO, &terminal_) == 0;
        }
    }

    async::Task<ExitCode> run(bool shows_failover);
    void end() {
        cluster_.end();
        folder_.remove();
    }
    // Ends it from wherever it is. A prompt that waits for a line cannot be told to stop, and holds
    // stdin: nothing may touch that.
    [[noreturn]] void leave() {
        if (has_terminal_) {
            (void)::tcsetattr(STDIN_FILENO, TCSANOW, &terminal_);
        }
        write_error("\nstopping the nodes\n");
        end();
        (void)std::fflush(stdout);
        std::_Exit(static_cast<int>(ExitCode::kOk));
    }

private:
    async::Task<Status> load_sample();
    async::Task<std::string> nodes_text();
    [[nodiscard]] std::string to_try();
    async::Task<PromptEnd> take_commands();
    async::Task<Result<std::string>> show_nodes();
    async::Task<Result<std::string>> kill_node(std::vector<std::string> words);
    async::Task<Result<std::string>> start_node(std::vector<std::string> words);
    [[nodiscard]] ApiOptions every_node();

    env::Env& env_;
    const Folder& folder_;
    DemoCluster cluster_;
    MonotonicTime began_;
    termios terminal_{};
    bool has_terminal_ = false;
};

ApiOptions Demo::every_node() {
    ApiOptions options;
    for (const DemoNode& node : cluster_.nodes()) {
        options.endpoints.push_back(node.addresses.http);
    }
    return options;
}

// Once: what the user has changed since in a folder of his own stays.
async::Task<Status> Demo::load_sample() {
    ApiClient api(env_, every_node());
    const auto there = co_await api.get(Bytes(kSample.front().key));
    if (!there.ok() || there->has_value()) {
        co_return there.status();
    }
    json::array items;
    for (const Pair& pair : kSample) {
        items.push_back(json::object{{"key", pair.key}, {"value", pair.value}});
    }
    http::ClientRequest request;
    request.method = http::Method::kPost;
    request.target = "/v1/batch/put";
    request.headers.emplace_back("Content-Type", "application/json");
    request.body = json::serialize(json::object{{"items", std::move(items)}});
    const auto loaded = co_await api.call_json(std::move(request));
    co_return loaded.status();
}

std::string column(std::string text, std::size_t width) {
    text.resize(std::max(width, text.size() + 1), ' ');
    return text;
}

async::Task<std::string> Demo::nodes_text() {
    const auto leader = co_await cluster_.leader();
    std::string text =
        "  node  HTTP                    Redis             gRPC port         process\n";
    for (std::size_t i = 0; i < kDemoNodes; ++i) {
        const DemoNode& node = cluster_.nodes()[i];
        text += "  " + column(node.name, 6) +
                column("http://" + node.addresses.http.to_string(), 24) +
                column(node.addresses.resp.to_string(), 18) +
                column(node.addresses.grpc.to_string(), 18);
        text += cluster_.is_running(i) ? std::to_string(node.process->id()) : "does not run";
        text += leader == i ? "  leads\n" : "\n";
    }
    co_return text;
}

std::string Demo::to_try() {
    const auto& nodes = cluster_.nodes();
    const auto redis = [&](std::size_t at) {
        return "  redis-cli -p " + std::to_string(nodes[at].addresses.resp.port) + " ";
    };
    const auto web = [&](std::size_t at) {
        return nodes[at].addresses.http.to_string();
    };
    const std::string client = "  " + client_program() + " ";
    return "Try in another terminal; every node answers for all:\n\n" + redis(0) +
           "set greeting hello\n" + redis(1) + "get greeting\n" + redis(2) + "incr visits\n" +
           "  curl -X PUT " + web(0) + "/v1/keys/user:4 -d '{\"value\":\"Barbara\"}'\n" +
           "  curl '" + web(1) + "/v1/keys?prefix=user:'\n" + client + "get user:4 --endpoints " +
           web(2) + "\n" + client + "scan --prefix city: --endpoints " + web(0) + "," + web(1) +
           "," + web(2) + "\n";
}

async::Task<Result<std::string>> Demo::kill_node(std::vector<std::string> words) {
    const auto at = words.size() == 2 ? DemoCluster::find_node(words[1]) : std::nullopt;
    if (!at) {
        co_return Status(Code::kInvalidArgument, "use KILL n1, n2 or n3");
    }
    if (!cluster_.is_running(*at)) {
        co_return Status(Code::kNotFound, cluster_.nodes()[*at].name + " does not run");
    }
    cluster_.kill_node(*at);
    co_return "killed; START " + cluster_.nodes()[*at].name + " brings it back";
}

async::Task<Result<std::string>> Demo::start_node(std::vector<std::string> words) {
    const auto at = words.size() == 2 ? DemoCluster::find_node(words[1]) : std::nullopt;
    if (!at) {
        co_return Status(Code::kInvalidArgument, "use START n1, n2 or n3");
    }
    const auto deadline = async::Deadline::after(env_.clock.now(), kStartPatience);
    KVSTORE_CO_CHECK_OK(co_await cluster_.start_node(*at, deadline));
    co_return "OK";
}

async::Task<Result<std::string>> Demo::show_nodes() {
    co_return co_await nodes_text();
}

// At the prompt, or from stdin.
async::Task<PromptEnd> Demo::take_commands() {
    std::vector<PromptCommand> commands;
    commands.push_back({.name = "NODES",
                        .help = "NODES                      addresses, processes, who leads",
                        .run = [this](std::vector<std::string>) {
                            return show_nodes();
                        }});
    commands.push_back(
        {.name = "FAILOVER",
         .help = "FAILOVER                   kill the leader, measure, bring it back",
         .run = [this](std::vector<std::string>) {
             return show_failover(&env_, &cluster_);
         }});
    commands.push_back({.name = "KILL",
                        .help = "KILL node                  kill -9",
                        .run = [this](std::vector<std::string> words) {
                            return kill_node(std::move(words));
                        }});
    commands.push_back({.name = "START",
                        .help = "START node                 start a node that was killed",
                        .run = [this](std::vector<std::string> words) {
                            return start_node(std::move(words));
                        }});
    ApiClient api(env_, every_node());
    co_return co_await run_prompt(&env_, &api, &commands);
}

async::Task<ExitCode> Demo::run(bool shows_failover) {
    const auto deadline = async::Deadline::after(env_.clock.now(), kStartPatience);
    Status started = co_await cluster_.start(deadline);
    if (started.ok()) {
        started = co_await load_sample();
    }
    if (!started.ok()) {
        write_error("kvstore demo: " + std::string(started.message()) + "\n");
        co_return ExitCode::kError;
    }
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(env_.clock.now() - began_);
    const std::string nodes = co_await nodes_text();
    write_output(
        "kvstore " + std::string(build_info().version) + ": three nodes ready after " +
        std::to_string(ms.count()) + " ms, data in " + folder_.path() +
        (folder_.is_temporary() ? " until the end\n\n" : "\n\n") + nodes +
        (cluster_.has_other_ports() ? "\nSome default ports were taken; these were free.\n" : "") +
        "\n" + to_try() + "\n");
    if (shows_failover) {
        const auto shown = co_await show_failover(&env_, &cluster_);
        if (!shown.ok()) {
            write_error("kvstore demo: " + shown.status().to_string() + "\n");
            co_return ExitCode::kError;
        }
        write_output(*shown + "\n\n");
    }
    const bool has_prompt = is_input_terminal();
    write_output(has_prompt ? "FAILOVER kills the leader and measures. Ctrl-C or EXIT ends it.\n\n"
                            : "Ctrl-C or SIGTERM ends it.\n");
    const PromptEnd end = co_await take_commands();
    // Nobody is there to ask for the end: a signal will.
    while (!has_prompt && !end.was_asked) {
        co_await env_.clock.sleep(std::chrono::hours(1));
    }
    co_return end.all_ok ? ExitCode::kOk : ExitCode::kError;
}

}  // namespace

ExitCode run_demo(const std::vector<std::string>& arguments) {
    const auto parsed = parse_arguments(kFlags, arguments);
    if (!parsed.ok() || !parsed->words().empty()) {
        write_error("kvstore demo: " +
                    (parsed.ok() ? "takes flags only" : std::string(parsed.status().message())) +
                    "\n");
        return ExitCode::kUsage;
    }
    if (parsed->has("help") || parsed->has("h")) {
        write_output(std::string(kUsage) + flags_help(kFlags));
        return ExitCode::kOk;
    }
    const auto folder = Folder::make(parsed->value("data"));
    if (!folder.ok()) {
        write_error("kvstore demo: " + std::string(folder.status().message()) + "\n");
        return ExitCode::kError;
    }
    set_log_level(LogLevel::kError);
    posix::RuntimeOptions options;
    options.root_directory = folder->path();
    posix::Runtime runtime(options);
    Demo demo(runtime.env(), *folder);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
        const Status handled = runtime.on_signal(signal, [&demo] { demo.leave(); });
        if (!handled.ok()) {
            write_error("kvstore demo: " + handled.to_string() + "\n");
            return ExitCode::kError;
        }
    }
    const ExitCode code = runtime.block_on(demo.run(parsed->has("failover")));
    demo.end();
    return code;
}

}  // namespace kvstore::cli
