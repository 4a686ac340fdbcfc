#include "cli/server_command.h"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <optional>
#include <utility>

#include <unistd.h>

#include "base/assert.h"
#include "base/build_info.h"
#include "base/log.h"
#include "base/parse.h"
#include "cli/output.h"
#include "posix/machine.h"
#include "posix/runtime.h"
#include "server/node.h"

namespace kvstore::cli {
namespace {

// Spellings of the older command lines, all for the gRPC address or the members to know.
struct Alias {
    std::string_view spelling;
    std::string_view setting;
};
constexpr std::array<Alias, 4> kAliases{{
    {.spelling = "addr", .setting = "grpc.addr"},
    {.spelling = "listen", .setting = "grpc.addr"},
    {.spelling = "http", .setting = "http.addr"},
    {.spelling = "resp", .setting = "resp.addr"},
}};

struct Flag {
    std::string name;
    std::optional<std::string> value;
};

Status invalid(std::string message) {
    return {Code::kInvalidArgument, std::move(message)};
}

Result<Flag> split_flag(std::string_view argument) {
    const std::size_t dashes = argument.starts_with("--") ? 2 : 1;
    if (!argument.starts_with('-') || argument.size() <= dashes) {
        return invalid("'" + std::string(argument) +
                       "' is no flag; `kvstore server --help` lists them");
    }
    argument.remove_prefix(dashes);
    const std::size_t equals = argument.find('=');
    Flag flag{.name = std::string(argument.substr(0, equals)), .value = std::nullopt};
    if (equals != std::string_view::npos) {
        flag.value = std::string(argument.substr(equals + 1));
    }
    return flag;
}

const server::Setting* setting_of_flag(std::string_view name) {
    for (const Alias& alias : kAliases) {
        if (alias.spelling == name) {
            return server::find_setting(alias.setting);
        }
    }
    for (const server::Setting& setting : server::settings()) {
        if (setting.flag().substr(2) == name) {
            return &setting;
        }
    }
    return nullptr;
}

Status unknown_flag(const std::string& name) {
    std::vector<std::string> flags{"config", "port", "help"};
    for (const server::Setting& setting : server::settings()) {
        flags.push_back(setting.flag().substr(2));
    }
    const std::vector<std::string_view> views(flags.begin(), flags.end());
    const std::string_view near = nearest_spelling(name, views);
    std::string message = "unknown flag --" + name;
    message += near.empty() ? "; `kvstore server --help` lists them"
                            : "; did you mean --" + std::string(near) + "?";
    return invalid(message);
}

// Flags in the order given. `--port P` is the older form of the gRPC port.
struct ServerFlags {
    std::string config_file;
    std::vector<std::pair<const server::Setting*, std::string>> values;
};

Result<ServerFlags> read_flags(const std::vector<std::string>& arguments) {
    ServerFlags flags;
    for (std::size_t at = 0; at < arguments.size(); ++at) {
        KVSTORE_TRY(Flag flag, split_flag(arguments[at]));
        const bool is_config = flag.name == "config";
        const bool is_port = flag.name == "port";
        const server::Setting* setting =
            is_port ? server::find_setting("grpc.addr") : setting_of_flag(flag.name);
        if (!is_config && setting == nullptr) {
            return unknown_flag(flag.name);
        }
        if (!flag.value && !is_config && setting->is_flag) {
            flag.value = "true";
        }
        if (!flag.value) {
            if (at + 1 == arguments.size()) {
                return invalid("--" + flag.name + " needs a value");
            }
            flag.value = arguments[++at];
        }
        if (is_config) {
            flags.config_file = *flag.value;
        } else {
            std::string value = is_port ? "127.0.0.1:" + *flag.value : *flag.value;
            const bool is_bare_port = setting->name.ends_with(".addr") && value.starts_with(':');
            // ":50051" on a command line means this machine, as every default does.
            flags.values.emplace_back(setting, is_bare_port ? "127.0.0.1" + value : value);
        }
    }
    return flags;
}

Result<std::string> read_small_file(const std::string& path) {
    std::string content;
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (file == nullptr) {
        return invalid("cannot read " + path);
    }
    std::array<char, 4096> buffer;
    std::size_t count = 0;
    while ((count = std::fread(buffer.data(), 1, buffer.size(), file)) > 0) {
        content.append(buffer.data(), count);
        if (content.size() > (2U << 20U)) {
            break;
        }
    }
    // A directory opens, and cannot be read.
    const bool is_readable = std::ferror(file) == 0;
    (void)std::fclose(file);
    if (!is_readable) {
        return invalid("cannot read " + path);
    }
    return content;
}

const char* lookup_environment(const char* name) {
    return std::getenv(name);
}

template <typename Action>
Status on_stop_signals(posix::Runtime& runtime, Action action) {
    for (const int signal : {SIGTERM, SIGINT}) {
        KVSTORE_CHECK_OK(runtime.on_signal(signal, action));
    }
    return {};
}

void print_banner(const server::Config& config, const server::Node& node) {
    const server::NodeAddresses addresses = node.addresses();
    std::string text = "kvstore " + std::string(build_info().version) + " is ready\n";
    text += "  node      " + node.data_directory().node_id + "\n";
    text += "  data      " + config.data_dir + " (durability " +
            std::string(server::durability_name(config.durability)) + ", default engine " +
            std::string(server::engine_name(config.default_engine)) + ")\n";
    text += "  http      http://" + addresses.http.to_string() + "\n";
    text += "  redis     " + addresses.resp.to_string() + "\n";
    text += "  grpc      " + addresses.grpc.to_string() + " (HTTP answers here too)\n";
    if (config.insecure) {
        text += "  WARNING   --insecure: anyone who reaches these addresses can read and write\n";
    }
    write_error(text);
}

}  // namespace

Result<server::Config> read_server_config(const std::vector<std::string>& arguments) {
    KVSTORE_TRY(const ServerFlags flags, read_flags(arguments));
    server::Config config;
    // Room is left for the rest of the server and for the machine.
    config.limits.memory_bytes_max = posix::usable_memory_bytes() / 4 * 3;
    if (!flags.config_file.empty()) {
        KVSTORE_TRY(const std::string content, read_small_file(flags.config_file));
        KVSTORE_CHECK_OK(server::apply_yaml(config, content, flags.config_file));
    }
    if (const auto dotenv = read_small_file(".env"); dotenv.ok()) {
        KVSTORE_CHECK_OK(server::apply_dotenv(config, *dotenv, ".env"));
    }
    if (const char* address = lookup_environment("NODE_ADDRESS"); address != nullptr) {
        KVSTORE_CHECK_OK(
            server::apply_dotenv(config, "NODE_ADDRESS=" + std::string(address), "environment"));
    }
    KVSTORE_CHECK_OK(server::apply_environment(config, lookup_environment));
    for (const auto& [setting, value] : flags.values) {
        KVSTORE_CHECK_OK(setting->set(config, value).with_context(setting->flag()));
    }
    KVSTORE_CHECK_OK(server::check_config(config));
    return config;
}

ExitCode run_server(const std::vector<std::string>& arguments) {
    if (std::ranges::find(arguments, "--help") != arguments.end() ||
        std::ranges::find(arguments, "-h") != arguments.end()) {
        write_output(server_help());
        return ExitCode::kOk;
    }
    const Result<server::Config> config = read_server_config(arguments);
    if (!config.ok()) {
        write_error("kvstore server: " + std::string(config.status().message()) + "\n");
        return ExitCode::kConfigInvalid;
    }
    set_log_level(config->log_level);
    set_log_format(::isatty(STDERR_FILENO) == 1 ? LogFormat::kText : LogFormat::kJson);

    posix::RuntimeOptions runtime_options;
    runtime_options.root_directory = config->data_dir;
    runtime_options.use_io_uring = config->io_uring;
    posix::Runtime runtime(runtime_options);
    const auto stop = [&runtime] {
        runtime.stop();
    };
    // A start may wait for other nodes without end. Nothing was promised yet, so it ends as a crash
    // does, and is harmless as one.
    Status handled = on_stop_signals(runtime, [] {
        log_info("stopped before it was ready");
        std::_Exit(0);
    });
    if (!handled.ok()) {
        write_error("kvstore server: " + handled.to_string() + "\n");
        return ExitCode::kError;
    }
    auto started = runtime.block_on(server::Node::start(&runtime.env(), *config, stop));
    if (!started.ok()) {
        write_error("kvstore server: " + std::string(started.status().message()) + "\n");
        return server_exit_code(started.status());
    }
    const std::unique_ptr<server::Node> node = *std::move(started);
    handled = on_stop_signals(runtime, stop);
    KVSTORE_ASSERT(handled.ok());
    print_banner(*config, *node);
    runtime.run();

    log_info("stopping");
    // A second signal does not wait.
    (void)on_stop_signals(runtime, [] { std::_Exit(1); });
    const Status stopped = runtime.block_on(node->stop());
    if (!stopped.ok()) {
        write_error("kvstore server: " + stopped.to_string() + "\n");
        return server_exit_code(stopped);
    }
    log_info("stopped");
    return ExitCode::kOk;
}

std::string server_help() {
    std::string text =
        "Usage: kvstore server [flags]\n\n"
        "Starts a node. Each flag is also a setting of the YAML file and an environment\n"
        "variable; flags win over the environment, which wins over the file.\n\n"
        "  --config FILE                 settings in YAML\n"
        "  --port PORT                   the port of --grpc-addr, on this machine\n";
    const server::Config defaults;
    for (const server::Setting& setting : server::settings()) {
        std::string line = "  " + setting.flag();
        line.resize(std::max<std::size_t>(line.size() + 1, 32), ' ');
        line += setting.help;
        const std::string value = setting.show(defaults);
        line += value.empty() ? "" : " [" + value + "]";
        text += line + "\n";
    }
    return text;
}

}  // namespace kvstore::cli
