# colorlab's page and command line, on any CPU, without torch. From the repository's root:
#   docker build -t colorlab-app .
#   docker run --rm -p 7860:7860 colorlab-app                                      the page, at http://127.0.0.1:7860
#   docker run --rm -v "$PWD:/photos" --user "$(id -u)" colorlab-app colorize album --out colored    the command line
# Lessons and training have an image of their own: nbs/teaching/Dockerfile.
FROM python:3.11-slim

COPY settings.ini setup.py pyproject.toml constraints.txt MANIFEST.in README.md LICENSE /colorlab/
COPY colorlab /colorlab/colorlab
COPY data/sample /colorlab/data/sample
COPY data/old_photos /colorlab/data/old_photos
RUN pip install --no-cache-dir -c /colorlab/constraints.txt '/colorlab[app]' && rm -r /colorlab

RUN useradd --create-home visitor && mkdir /photos && chown visitor /photos
USER visitor
WORKDIR /photos
EXPOSE 7860
ENTRYPOINT ["colorlab"]
CMD ["app", "--host", "0.0.0.0", "--port", "7860", "--no-browser"]
