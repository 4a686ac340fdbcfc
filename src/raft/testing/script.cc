#include "raft/testing/script.h"

#include <map>
#include <optional>
#include <sstream>
#include <vector>

#include "raft/testing/cluster.h"

namespace kvstore::raft::testing {

namespace {

class Player {
public:
    std::string play(const std::string& script) {
        std::istringstream lines(script);
        std::string line;
        bool expecting = false;
        while (std::getline(lines, line)) {
            if (expecting) {
                expecting = !line.empty();
                out_ += expecting ? "" : "\n";
                continue;
            }
            out_ += line + "\n";
            if (line == "---") {
                show();
                expecting = true;
            } else if (!line.empty() && line[0] != '#') {
                run(line.substr(0, line.find('#')));
            }
        }
        return out_;
    }

private:
    static NodeId id_of(const std::string& word) { return NodeId(std::stoull(word)); }

    void run(const std::string& line) {
        std::istringstream stream(line);
        std::vector<std::string> words;
        for (std::string word; stream >> word;) {
            words.push_back(word);
        }
        if (words.empty()) {
            return;
        }
        if (words[0] == "cluster") {
            begin(words);
        } else if (words[0] == "settle") {
            cluster_->settle();
        } else if (words[0] == "heal") {
            cluster_->heal();
        } else if (words[0] == "partition") {
            partition(words);
        } else if (words[0] == "ticks") {
            cluster_->run(std::stoul(words.at(1)));
        } else {
            run_on_member(words, id_of(words.at(1)));
        }
    }

    void run_on_member(const std::vector<std::string>& words, NodeId id) {
        const std::string& command = words[0];
        if (command == "put") {
            note(words, cluster_->propose(id, words.at(2)).status());
        } else if (command == "read") {
            note(words, cluster_->read(id).status());
        } else if (command == "elect") {
            for (const NodeId other : cluster_->ids()) {
                if (cluster_->is_up(other) && !cluster_->is_cut(id, other)) {
                    static_cast<void>(cluster_->forget_leader(other));
                }
            }
            cluster_->elect(id);
        } else if (command == "campaign") {
            cluster_->elect(id);
        } else if (command == "forget") {
            note(words, cluster_->forget_leader(id));
        } else if (command == "transfer") {
            note(words, cluster_->transfer(id, id_of(words.at(2))));
        } else if (command == "crash") {
            cluster_->crash(id);
        } else if (command == "restart") {
            cluster_->restart(id);
        } else if (command == "mute") {
            cluster_->mute(id);
        } else if (command == "join") {
            cluster_->add_blank(id);
        } else if (command == "change" || command == "leave") {
            note(words, cluster_->change(id, change_of(words)).status());
        } else if (command == "checkpoint") {
            cluster_->save_checkpoint(id);
        } else if (command == "compact") {
            cluster_->compact(id);
            cluster_->report_snapshots(id);
        } else {
            remarks_ += "unknown command " + command + "\n";
        }
    }

    void begin(const std::vector<std::string>& words) {
        std::map<std::string, std::size_t> settings{{"nodes", 3}, {"leader", 0}};
        for (std::size_t i = 1; i < words.size(); ++i) {
            const std::size_t equals = words[i].find('=');
            settings[words[i].substr(0, equals)] = std::stoul(words[i].substr(equals + 1));
        }
        Config config;
        config.group = GroupId(1);
        config.seed = 1;
        cluster_.emplace(settings["nodes"], config);
        if (settings["leader"] != 0) {
            cluster_->elect(NodeId(settings["leader"]));
            cluster_->run(1);
        }
    }

    void partition(const std::vector<std::string>& words) {
        std::vector<std::vector<NodeId>> sides(1);
        for (std::size_t i = 1; i < words.size(); ++i) {
            if (words[i] == "|") {
                sides.emplace_back();
            } else {
                sides.back().push_back(id_of(words[i]));
            }
        }
        for (std::size_t a = 0; a < sides.size(); ++a) {
            for (std::size_t b = a + 1; b < sides.size(); ++b) {
                for (const NodeId one : sides[a]) {
                    for (const NodeId other : sides[b]) {
                        cluster_->cut(one, other);
                    }
                }
            }
        }
    }

    static ConfChange change_of(const std::vector<std::string>& words) {
        ConfChange change;
        for (std::size_t i = 2; i < words.size(); ++i) {
            const ConfOperation operation = words[i][0] == '+'   ? ConfOperation::kAddVoter
                                            : words[i][0] == '-' ? ConfOperation::kRemove
                                                                 : ConfOperation::kAddLearner;
            change.steps.push_back({operation, id_of(words[i].substr(1))});
        }
        return change;
    }

    void note(const std::vector<std::string>& words, const Status& status) {
        if (!status.ok()) {
            remarks_ += words[0] + " " + words[1] + ": " + std::string(status.message()) + "\n";
        }
    }

    void show() {
        out_ += remarks_ + cluster_->describe();
        remarks_.clear();
        std::map<std::string, std::string> values;
        for (const auto& [index, command] : cluster_->commands()) {
            const std::string text(command.view());
            const std::size_t equals = text.find('=');
            if (equals != std::string::npos) {
                values[text.substr(0, equals)] = text.substr(equals + 1);
            }
        }
        std::string line;
        for (const auto& [key, value] : values) {
            line.append(line.empty() ? "" : " ").append(key).append("=").append(value);
        }
        out_ += line.empty() ? "" : "state: " + line + "\n";
        out_ += cluster_->reads_served() == 0
                    ? ""
                    : "reads served: " + std::to_string(cluster_->reads_served()) + "\n";
        out_ += cluster_->failure().empty() ? "" : "BROKEN: " + cluster_->failure() + "\n";
    }

    std::optional<Cluster> cluster_;
    std::string out_;
    std::string remarks_;
};

}  // namespace

std::string replay_script(const std::string& script) {
    return Player().play(script);
}

}  // namespace kvstore::raft::testing
