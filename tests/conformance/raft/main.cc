// Replays etcd/raft's own scripts on our core:
//
//     raft_conformance <folder of the Go module> [<deviations file>] [--verbose]
//
// Prints what differs and, last, `etcd/raft corpus: N of M directives`. A directive on
// the list of deviations counts as passed only while it still differs, so that the list
// cannot grow stale.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "data_driven.h"
#include "environment.h"
#include "pure_scripts.h"

namespace kvstore::raft::conformance {

namespace {

struct Count {
    std::size_t passed = 0;
    std::size_t deviating = 0;
    std::size_t all = 0;
};

using Deviations = std::set<std::string>;  // "file.txt:line"

Deviations read_deviations(const std::string& path) {
    Deviations deviations;
    std::ifstream file(path);
    std::string line;
    while (std::getline(file, line)) {
        const std::size_t end = line.find(' ');
        if (!line.empty() && line[0] != '#' && end != std::string::npos) {
            deviations.insert(line.substr(0, end));
        }
    }
    return deviations;
}

std::vector<std::string> scripts_in(const std::string& folder) {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() == ".txt") {
            paths.push_back(entry.path().string());
        }
    }
    std::sort(paths.begin(), paths.end());
    return paths;
}

template <typename Handle>
void replay(const std::string& path, const Deviations& deviations, Count& count, Handle&& handle) {
    const std::string name = std::filesystem::path(path).filename().string();
    for (const Directive& directive : read_script(path)) {
        ++count.all;
        const std::string place = name + ":" + std::to_string(directive.line);
        const std::string got = handle(directive);
        const std::string expected = without_log_lines(directive.expected);
        if (got == expected) {
            ++count.passed;
            if (deviations.contains(place)) {
                std::printf("%s is on the list of deviations and does not deviate\n",
                            place.c_str());
                --count.passed;
            }
        } else if (deviations.contains(place)) {
            ++count.deviating;
        } else {
            std::printf("%s: %s differs\n--- expected\n%s+++ got\n%s\n",
                        place.c_str(),
                        directive.command.c_str(),
                        expected.c_str(),
                        got.c_str());
        }
    }
}

}  // namespace

}  // namespace kvstore::raft::conformance

namespace kvstore::raft::conformance {

namespace {

int run(int argc, char** argv) {
    if (argc < 2) {
        std::fprintf(stderr, "usage: raft_conformance <corpus> [<deviations>]\n");
        return 2;
    }
    const std::string corpus = argv[1];
    const Deviations deviations = read_deviations(argc > 2 ? argv[2] : "");
    Count count;
    for (const std::string& path : scripts_in(corpus + "/testdata")) {
        Environment environment;
        replay(path, deviations, count, [&](const Directive& directive) {
            return environment.handle(directive);
        });
    }
    const std::size_t interaction = count.all;
    for (const std::string& path : scripts_in(corpus + "/quorum/testdata")) {
        replay(path, deviations, count, run_quorum_directive);
    }
    for (const std::string& path : scripts_in(corpus + "/confchange/testdata")) {
        ConfigurationScript script;
        replay(path, deviations, count, [&](const Directive& directive) {
            return script.handle(directive);
        });
    }
    std::printf(
        "interaction scripts: %zu directives; others: %zu\n", interaction, count.all - interaction);
    std::printf("etcd/raft corpus: %zu of %zu directives, %zu listed deviations\n",
                count.passed,
                count.all,
                count.deviating);
    return count.passed + count.deviating == count.all ? 0 : 1;
}

}  // namespace

}  // namespace kvstore::raft::conformance

int main(int argc, char** argv) {
    return kvstore::raft::conformance::run(argc, argv);
}
