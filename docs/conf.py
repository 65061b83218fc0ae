"""How Sphinx builds the site: `make docs`. What it reads, prepare.py has put into docs/_build/source."""

import re
import sys
from pathlib import Path

from docutils.nodes import SkipNode
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

sys.path.insert(0, str(Path(__file__).parent))
from prepare import build, cfg  # noqa: E402

logger = logging.getLogger(__name__)
project = cfg['title']
author = cfg['author']
release = cfg['version']
project_copyright = f'{author}, {cfg["license"]}'
extensions = ['myst_nb', 'autoapi.extension']
exclude_patterns = ['images']
nitpicky = True
nitpick_ignore_regex = [('py:.*', rf'(?!{cfg["lib_path"]}\.).*')]  # the types of other packages: no page of ours
suppress_warnings = ['autoapi.python_import_resolution']

# notebooks: as they are saved
nb_execution_mode = 'off'
nb_merge_streams = True
myst_enable_extensions = ['attrs_inline', 'colon_fence', 'dollarmath']
myst_heading_anchors = 4

# the reference
autoapi_dirs = [str(build / 'modules' / cfg['lib_path'])]
autoapi_root = 'api'
autoapi_template_dir = str(build.parent / 'templates')
autoapi_options = ['members', 'undoc-members']
autoapi_member_order = 'bysource'
autoapi_own_page_level = 'module'
autoapi_add_toctree_entry = False
autoapi_keep_files = False
python_maximum_signature_line_length = 70
add_module_names = False

# looks
html_theme = 'sphinx_book_theme'
html_title = cfg['title']
html_baseurl = f'https://{cfg["user"]}.github.io/{cfg["repo"]}/'
html_static_path = ['static']
html_css_files = ['site.css']
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    'repository_url': cfg['git_url'],
    'repository_branch': cfg['branch'],
    'use_repository_button': True,
    'use_download_button': False,
    'show_toc_level': 2,
}
html_math_renderer = 'mathml'


def math(translator, node):
    "A formula as MathML, which browsers draw themselves: nothing is fetched, and brackets grow alone."
    text = re.sub(r'\\[bB]ig+[lr]?(?![a-zA-Z])', '', node.astext())
    text = text.replace('°', r'^\circ').replace(r'\dots', r'\ldots')
    try:
        translator.body.append(tex2mathml(text, as_block=node.tagname == 'math_block'))
    except MathError as e:
        logger.warning('%s', e, location=node)
    raise SkipNode


def setup(app):
    app.add_html_math_renderer('mathml', (math, None), (math, None))
    return {'parallel_read_safe': True, 'parallel_write_safe': True}
