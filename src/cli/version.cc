#include "cli/version.h"

#include <algorithm>
#include <array>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/version.hpp>

#include "base/build_info.h"
#include "cli/arguments.h"
#include "cli/output.h"
#include "storage/engines.h"

namespace kvstore::cli {
namespace {

namespace json = boost::json;

std::string boost_version() {
    return std::to_string(BOOST_VERSION / 100000) + "." +
           std::to_string(BOOST_VERSION / 100 % 1000) + "." + std::to_string(BOOST_VERSION % 100);
}

constexpr std::array<FlagSpec, 2> kFlags{{
    {.name = "json", .value = "", .help = "as one JSON object"},
    {.name = "help", .value = "", .help = "this text"},
}};

}  // namespace

std::string version_text() {
    const BuildInfo& build = build_info();
    std::string text = "kvstore ";
    text += build.version;
    text += " (git ";
    text += build.git_commit;
    text += ", ";
    text += build.git_date;
    text += ", ";
    text += build.compiler;
    text += ", rocksdb " + storage::lsm_library_version() + ", boost " + boost_version();
    text += ")\n";
    return text;
}

std::string version_json() {
    const BuildInfo& build = build_info();
    json::object libraries;
    libraries["rocksdb"] = storage::lsm_library_version();
    libraries["boost"] = boost_version();
    json::object body;
    body["version"] = build.version;
    body["git_commit"] = build.git_commit;
    body["git_date"] = build.git_date;
    body["compiler"] = build.compiler;
    body["build_type"] = build.build_type;
    body["sanitizers"] = build.sanitizers;
    body["libraries"] = std::move(libraries);
    return json::serialize(body) + "\n";
}

ExitCode run_version(const std::vector<std::string>& arguments) {
    const auto parsed = parse_arguments(kFlags, arguments);
    if (!parsed.ok()) {
        write_error("kvstore version: " + std::string(parsed.status().message()) + "\n");
        return ExitCode::kUsage;
    }
    if (parsed->has("help")) {
        write_output("Usage: kvstore version [--json]\n\n" + flags_help(kFlags));
        return ExitCode::kOk;
    }
    write_output(parsed->has("json") ? version_json() : version_text());
    return ExitCode::kOk;
}

}  // namespace kvstore::cli
