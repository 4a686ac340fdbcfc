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

Status apply_node(Config& config,
                  const YAML::Node& node,
                  const std::string& prefix,
                  std::string_view file,
                  int depth) {
    if (depth > kDepthMax) {
        return {Code::kInvalidArgument, place_of(node.Mark(), file) + ": nested too deeply"};
    }
    for (const auto& item : node) {
        if (!item.first.IsScalar()) {
            return {Code::kInvalidArgument,
                    place_of(item.first.Mark(), file) + ": a key is a word"};
        }
        const std::string name = prefix + item.first.Scalar();
        const std::string place = place_of(item.first.Mark(), file);
        if (item.second.IsMap()) {
            KVSTORE_CHECK_OK(apply_node(config, item.second, name + ".", file, depth + 1));
            continue;
        }
        const Setting* setting = find_setting(name);
        if (setting == nullptr) {
            return {Code::kInvalidArgument, place + ": " + unknown_key(name)};
        }
        if (!item.second.IsScalar()) {
            return {Code::kInvalidArgument, place + ": " + name + " takes one value"};
        }
        KVSTORE_CHECK_OK(
            setting->set(config, item.second.Scalar()).with_context(place + ": " + name));
    }
    return {};
}

}  // namespace

Status apply_yaml(Config& config, std::string_view content, std::string_view file) {
    constexpr std::size_t kSizeMax = 1U << 20U;
    if (content.size() > kSizeMax) {
        return {Code::kInvalidArgument, std::string(file) + ": larger than 1 MiB"};
    }
    try {
        const YAML::Node root = YAML::Load(std::string(content));
        if (root.IsNull()) {
            return {};
        }
        if (!root.IsMap()) {
            return {Code::kInvalidArgument,
                    place_of(root.Mark(), file) + ": write settings as 'name: value'"};
        }
        return apply_node(config, root, "", file, 0);
    } catch (const YAML::Exception& exception) {
        return {Code::kInvalidArgument, place_of(exception.mark, file) + ": " + exception.msg};
    }
}

}  // namespace kvstore::server
