from .colorizer import Colorizer as Colorizer
from .evaluation import evaluate as evaluate
from .finetune import fine_tune as fine_tune
from .formats import BadInput as BadInput
from .inputs import Hint as Hint
from .loaders import photo_loaders as photo_loaders
from .recipes import color_learner as color_learner
from .recipes import list_models as list_models
from .training import train as train

__version__: str
