"""Names that a bench writes and the report reads."""

from model_export.recipes import DEFAULT

OURS = "lambda-llm"
ENGINE = f"{OURS} {DEFAULT}"  # the default recipe, without the server
SERVER = f"{OURS} server"
LLAMA_SERVER = "llama.cpp server"
NO_AMX = ", no AMX"

READY, FIRST_TOKEN = "ready", "first token"

SPECULATION = ("speculation on", "speculation off")
COPIES, LEAVES = "copies the prompt", "begins to copy it"
FOLLOWS, EDITED = "follows its prediction", "prediction edited"
GREEDY, SAMPLED = "plain, temperature 0", "plain, temperature 1"

PREFIX_CACHE = ("prefix cache on", "prefix cache off")
BATCHING = ("batching on", "batching off")
CHOICES = ("n = 1", "n = 4")
FORMATS = ("schema", "free")

STORE, GET_OBJECT, DOWNLOAD_FILE = f"{OURS} store", "get_object().read()", "download_file"
NETWORK, UNBOUND = "as over a network", "as fast as the machine"
