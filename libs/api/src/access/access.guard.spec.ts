import 'reflect-metadata';
import { ForbiddenException, UnauthorizedException, type ExecutionContext } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { AccessGuard } from './access.guard.js';
import type { AccessSettings } from './access.settings.js';
import { Public } from './public.decorator.js';

class Controller {
  list(): void {}

  @Public()
  health(): void {}
}

@Public()
class PublicController {
  list(): void {}
}

function guarded(
  settings: Partial<AccessSettings>,
  headers: { readonly host?: string; readonly authorization?: string },
  controller: abstract new () => object = Controller,
  handler: () => void = controller.prototype.list,
): boolean {
  const context = {
    getHandler: () => handler,
    getClass: () => controller,
    switchToHttp: () => ({ getRequest: () => ({ headers }) }),
  } as unknown as ExecutionContext;
  return new AccessGuard({ auth: null, allowedHosts: [], ...settings }, new Reflector()).canActivate(context);
}

const basic = (credentials: string): string => `Basic ${Buffer.from(credentials).toString('base64')}`;

describe('access without a password', () => {
  it.each(['localhost', 'LocalHost:4200', '127.0.0.1', '127.0.0.1:80', '[::1]', '[::1]:4200'])(
    'is open to requests addressed to %s',
    (host) => expect(guarded({}, { host })).toBe(true),
  );

  it('is open to requests addressed to the host it listens on', () => {
    expect(guarded({ allowedHosts: ['127.0.0.2'] }, { host: '127.0.0.2:4200' })).toBe(true);
  });

  it.each([undefined, '', ':4200', 'evil.example', 'localhost.evil.example', 'localhost:4200:80', '127.0.0.2', '::1'])(
    'is closed to requests addressed to %s',
    (host) => expect(() => guarded({}, host === undefined ? {} : { host })).toThrow(ForbiddenException),
  );
});

describe('access with a password', () => {
  const settings = { auth: 'ops:pass:word' };

  it('is open to who knows it, however the request is addressed', () => {
    expect(guarded(settings, { authorization: basic('ops:pass:word'), host: 'evil.example' })).toBe(true);
  });

  it.each([undefined, '', 'Basic', basic(''), basic('ops:pass'), basic('ops:pass:word '), 'ops:pass:word'])(
    'is closed to whoever sends "%s"',
    (authorization) => {
      const headers = { host: 'localhost', ...(authorization !== undefined && { authorization }) };
      expect(() => guarded(settings, headers)).toThrow(UnauthorizedException);
    },
  );
});

describe('what is public', () => {
  it.each([{ auth: null }, { auth: 'ops:password' }])('is open to everybody (%j)', (settings) => {
    expect(guarded(settings, { host: 'evil.example' }, Controller, Controller.prototype.health)).toBe(true);
    expect(guarded(settings, { host: 'evil.example' }, PublicController)).toBe(true);
  });
});
