# The product as an image: every role is a command of `stafet`. Built by docker-compose.yml.
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements-runtime.lock ./
RUN python -m venv /opt/stafet \
    && /opt/stafet/bin/pip install --quiet --no-cache-dir --require-hashes -r requirements-runtime.lock
COPY pyproject.toml README.md LICENSE ./
COPY streams streams
COPY agents agents
RUN /opt/stafet/bin/pip install --quiet --no-cache-dir --no-deps .

FROM python:3.11-slim
COPY --from=build /opt/stafet /opt/stafet
RUN useradd --system --uid 10001 stafet && install -d -o stafet -g stafet /var/lib/stafet
USER stafet
ENV PATH=/opt/stafet/bin:$PATH STAFET_STATE_DIR=/var/lib/stafet
VOLUME /var/lib/stafet
ENTRYPOINT ["stafet"]
CMD ["--help"]
