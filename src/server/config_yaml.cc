#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <yaml-cpp/yaml.h>

#include "base/parse.h"
#include "server/config.h"

namespace kvstore::server {
namespace {

// Settings are two levels deep at most; anything deeper is a mistake, and a bound on recursion.
constexpr int kDepthMax = 4;

std::string place_of(const YAML::Mark& mark, std::string_view file) {
    return std::string(file) + ":" + std::to_string(mark.line + 1) + ":" +
           std::to_string(mark.column + 1);
}

std::string unknown_key(std::string_view name) {
    std::vector<std::string_view> names;
    for (const Setting& setting : settings()) {
        names.push_back(setting.name);
    }
    const std::string_view near = nearest_spelling(name, names);
    std::string message = "unknown setting '" + std::string(name) + "'";
    if (!near.empty()) {
        message += "; did you mean '" + std::string(near) + "'?";
    }
    return message;
}

// Whether there are settings below `name`, as "limits" has.
bool is_section(std::string_view name) {
    return std::ranges::any_of(settings(), [name](const Setting& setting) {
        return setting.name.size() > name.size() && setting.name.starts_with(name) &&
               setting.name[name.size()] == '.';
    });
}

class YamlReader {
public:
    YamlReader(Config& config, std::string_view file) : config_(config), file_(file) {}

    Status read(const YAML::Node& map, const std::string& prefix, int depth) {
        if (depth > kDepthMax) {
            return invalid(map.Mark(), "nested too deeply");
        }
        for (const auto& item : map) {
            if (!item.first.IsScalar()) {
                return invalid(item.first.Mark(), "a key is a word");
            }
            const std::string name = prefix + item.first.Scalar();
            if (item.second.IsMap()) {
                KVSTORE_CHECK_OK(read(item.second, name + ".", depth + 1));
            } else if (!item.second.IsNull() || !is_section(name)) {
                KVSTORE_CHECK_OK(set(name, item.first.Mark(), item.second));
            }
        }
        return {};
    }

private:
    Status set(const std::string& name, const YAML::Mark& mark, const YAML::Node& value) {
        const Setting* setting = find_setting(name);
        if (setting == nullptr) {
            return invalid(mark, unknown_key(name));
        }
        if (!value.IsScalar()) {
            return invalid(mark, name + " takes one value");
        }
        if (!seen_.insert(name).second) {
            return invalid(mark, name + " is set twice");
        }
        return setting->set(config_, value.Scalar())
            .with_context(place_of(mark, file_) + ": " + name);
    }

    [[nodiscard]] Status invalid(const YAML::Mark& mark, std::string_view what) const {
        return {Code::kInvalidArgument, place_of(mark, file_) + ": " + std::string(what)};
    }

    Config& config_;
    std::string_view file_;
    std::set<std::string> seen_;
};

}  // namespace

Status apply_yaml(Config& config, std::string_view content, std::string_view file) {
    constexpr std::size_t kSizeMax = 1U << 20U;
    if (content.size() > kSizeMax) {
        return {Code::kInvalidArgument, std::string(file) + ": larger than 1 MiB"};
    }
    try {
        const std::vector<YAML::Node> documents = YAML::LoadAll(std::string(content));
        if (documents.empty() || (documents.size() == 1 && documents.front().IsNull())) {
            return {};
        }
        const YAML::Node& root = documents.front();
        if (documents.size() > 1) {
            return {Code::kInvalidArgument,
                    place_of(documents[1].Mark(), file) + ": a second document; write one"};
        }
        if (!root.IsMap()) {
            return {Code::kInvalidArgument,
                    place_of(root.Mark(), file) + ": write settings as 'name: value'"};
        }
        return YamlReader(config, file).read(root, "", 0);
    } catch (const YAML::Exception& exception) {
        return {Code::kInvalidArgument, place_of(exception.mark, file) + ": " + exception.msg};
    }
}

}  // namespace kvstore::server
